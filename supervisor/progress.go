package supervisor

import (
	"fmt"
	"slices"

	"github.com/ebb-chaos/ebb/runner"
)

// progress is how far a run has got.
type progress struct {
	*files      // of the scenario that is being run
	options     runner.RunOptions
	scenarios   int           // of an iteration
	now         *runner.Start // nil between two
	dead        *died         // the worker that ran it died
	ended       []runner.ScenarioResult
	anything    bool // has begun
	unexplained int  // deaths between which nothing was done

	// Of the latest worker.
	script  string // it is being loaded
	proving string // key of the file that is being rehearsed
	last    *done
}

func newProgress(t *task, o runner.RunOptions) *progress {
	return &progress{files: newFiles(t), options: o}
}

func (p *progress) handle(e event) {
	switch {
	case e.Script != "":
		p.script = e.Script
	case e.Loaded != "":
		p.script = ""
	case e.Proving != "":
		p.proving = e.Proving
	case e.Proved:
		p.proving = ""
	case e.Prepared != 0:
		p.scenarios = e.Prepared
	case e.Began != nil:
		p.now, p.anything = e.Began, true
		p.files = newFiles(p.task)
	case e.Ended != nil:
		p.end(e.Ended.result())
	case e.Done != nil:
		p.last = e.Done
	default:
		p.files.handle(e)
	}
}

// end takes in what came of a scenario.
func (p *progress) end(x runner.ScenarioResult) {
	p.ended = append(p.ended, x)
	if p.options.Daemon && x.Position.Iteration > 0 && p.scenarios > 0 {
		// A daemon's report would grow for ever: the last round is enough.
		p.ended = p.ended[max(0, len(p.ended)-p.scenarios):]
	}
	p.options.From = runner.Position{Iteration: x.Position.Iteration, Index: x.Position.Index + 1}
	p.now, p.dead, p.unexplained = nil, nil, 0
}

// order is what the next worker has to do.
func (p *progress) order(scenarios Scenarios) *runOrder {
	p.script, p.proving, p.last = "", "", nil
	return &runOrder{Scenarios: scenarios, Options: p.options, Died: p.dead}
}

// died takes in that a worker ended in the middle of its work. It returns why no other can go on.
func (p *progress) died(how string) (why string) {
	log := p.task.options.Log
	switch {
	case p.now == nil: // between two scenarios, or before the first
		if p.unexplained++; p.unexplained == workerTries {
			return "the process that runs the scenarios " + how
		}
		log.Error("the process that runs the scenarios " + how + ": going on with another")
		return ""
	case p.dead == nil:
		log.Error(fmt.Sprintf("the process that runs scenario %s %s", p.now.Scenario.Path, how))
		p.dead = &died{Died: runner.Died{Start: *p.now, Err: &runner.LostError{How: how, Doing: "ran"}, Unproven: p.proving}, said: allToWire(p.results())}
		for _, x := range p.ended {
			p.dead.Earlier = append(p.dead.Earlier, toWireScenario(x))
		}
		// What that worker could not undo in the middle of the run is tried again, as at its end.
		active, unsaid := p.active, p.unsaid
		p.files = newFiles(p.task)
		p.active, p.unsaid = active, unsaid
	case !p.atWork():
		if p.unexplained++; p.unexplained == workerTries {
			return fmt.Sprintf("the process that undoes scenario %s %s", p.now.Scenario.Path, how)
		}
		log.Error(fmt.Sprintf("the process that undoes scenario %s %s: trying again", p.now.Scenario.Path, how))
	}
	if p.atWork() {
		if why := p.workerDied(how); why != "" {
			return why
		}
	}
	// Of a file, the last that was said counts: what was undone meanwhile is in the report, and what
	// was not is tried.
	p.dead.Results = slices.Concat(p.dead.said, allToWire(p.results()))
	p.dead.Tried, p.dead.Lost, p.dead.Begun = allToWire(p.notUndone()), p.lost, p.unsaid
	p.dead.Interrupted = p.task.interrupted()
	return ""
}

// report is what came of the run so far.
func (p *progress) report(interrupted bool) *runner.RunReport {
	report := &runner.RunReport{UUID: p.options.UUID, Scenarios: p.ended, Interrupted: interrupted}
	if p.now == nil {
		return report
	}
	x := runner.ScenarioResult{
		Scenario: p.now.Scenario, Position: p.now.Position, Began: p.now.Began, Took: since(p.now.Began), Results: p.all(),
		Err: &runner.LostError{How: "ended", Doing: "ran"},
	}
	if p.dead != nil {
		x.Err = p.dead.Err
	}
	x.Effects = runner.Unwitnessed(x.Err)
	if p.now.Execution != "" {
		x.Pending = []string{p.now.Execution} // nobody could look what is left of it
	}
	report.Scenarios = append(report.Scenarios, x)
	return report
}
