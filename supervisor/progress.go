package supervisor

import (
	"fmt"
	"slices"

	"github.com/ebb-chaos/ebb/runner"
)

// progress is the state of a run.
type progress struct {
	*files      // of the current scenario
	options     runner.RunOptions
	scenarios   int           // number of scenarios of an iteration
	now         *runner.Start // the current scenario; nil between two
	dead        *died         // set if the worker that ran it has died
	ended       []runner.ScenarioResult
	anything    bool // a scenario has begun
	unexplained int  // deaths of workers in a row that had done nothing

	// Of the latest worker.
	script  string // the script that is being loaded
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

// end adds the result of a scenario.
func (p *progress) end(x runner.ScenarioResult) {
	p.ended = append(p.ended, x)
	if p.options.Daemon && x.Position.Iteration > 0 && p.scenarios > 0 {
		// The report of a daemon would grow without end: keep the last iteration.
		p.ended = p.ended[max(0, len(p.ended)-p.scenarios):]
	}
	p.options.From = runner.Position{Iteration: x.Position.Iteration, Index: x.Position.Index + 1}
	p.now, p.dead, p.unexplained = nil, nil, 0
}

// order returns the order for the next worker.
func (p *progress) order(scenarios Scenarios) *runOrder {
	p.script, p.proving, p.last = "", "", nil
	return &runOrder{Scenarios: scenarios, Options: p.options, Died: p.dead}
}

// died records that a worker has ended during its work. It returns why no other worker can
// continue, or "".
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
		// Files that this worker could not undo during the run are tried again, as at the end of a
		// run.
		active, unreported := p.active, p.unreported
		p.files = newFiles(p.task)
		p.active, p.unreported = active, unreported
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
	// The last result of a file counts: a file that was undone is in the report, and the others are
	// tried again.
	p.dead.Results = slices.Concat(p.dead.said, allToWire(p.results()))
	p.dead.Tried, p.dead.Lost, p.dead.Begun = allToWire(p.notUndone()), p.lost, p.unreported
	p.dead.Interrupted = p.task.interrupted()
	return ""
}

// report returns the report of the run so far.
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
		x.Pending = []string{p.now.Execution} // what is left of it is not known
	}
	report.Scenarios = append(report.Scenarios, x)
	return report
}
