package supervisor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/schema"
)

// Scenarios are the scenario files to run: the arguments of [runner.Runner.Prepare].
type Scenarios struct {
	Files           []runner.ScenarioFile
	SkipUnsupported bool
}

// runOrder is a run, or the rest of a run.
type runOrder struct {
	Scenarios Scenarios
	Options   runner.RunOptions
	Died      *died // the scenario in which a worker died: recover it before the rest begins
}

// died is a runner.Died in a form that can be sent.
type died struct {
	runner.Died
	Earlier []*scenarioResult // results of the scenarios before it
	Results []*result
	Tried   []*result
	said    []*result // results of its version files that the worker had reported
}

// scenarioResult is a runner.ScenarioResult in a form that can be sent.
type scenarioResult struct {
	runner.ScenarioResult
	Failure *runner.Failure
	Results []*result
}

func toWireScenario(x runner.ScenarioResult) *scenarioResult {
	w := &scenarioResult{ScenarioResult: x, Failure: runner.FailureOf(x.Err), Results: allToWire(x.Results)}
	w.ScenarioResult.Err, w.ScenarioResult.Results = nil, nil
	return w
}

func (w *scenarioResult) result() runner.ScenarioResult {
	x := w.ScenarioResult
	x.Err, x.Results = errorOf(w.Failure), allResults(w.Results)
	return x
}

// Run is [runner.Runner.Prepare] and then [runner.Runner.Run] in a worker. If the code of a
// scenario ends the worker, the scenario has failed: another worker undoes it, and continues as
// after any failed scenario. With an [*IncompleteError], Run returns a report, too.
func (s *Supervisor) Run(ctx context.Context, scenarios Scenarios, o runner.RunOptions) (*runner.RunReport, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	t := s.begin(ctx, "runs the scenarios")
	defer func() { t.over() }()
	if o.UUID == "" {
		o.UUID = uuid.NewString() // the same for all workers
	}
	scenarios.Files = readAll(scenarios.Files)
	p := newProgress(t, o)
	for first := true; ; first = false {
		end, err := t.work(order{Run: p.order(scenarios)}, p.handle)
		last := p.last
		switch {
		case err != nil && first && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && first:
			return t.runHere(scenarios, o, err)
		case t.isDone(end, last):
			return p.report(last.Interrupted), nil
		case last != nil && !p.anything && ctx.Err() != nil:
			return nil, ctx.Err()
		case last != nil && !p.anything:
			return nil, last.Failure
		case last != nil && p.now == nil && ctx.Err() != nil:
			// Cancelled while the next scenario was loaded: everything before it is restored.
			return p.report(true), nil
		}
		why := t.givenUp("run", err, end, last)
		switch {
		case why != "":
		case p.script != "":
			lost := &runner.LostError{How: end.how, Doing: "loaded"}
			if !p.anything {
				return nil, fmt.Errorf("scenario script %s: %w", p.script, lost)
			}
			why = fmt.Sprintf("the run could not go on: scenario script %s: %v", p.script, lost)
		default:
			why = p.died(end.how)
		}
		if why == "" && p.now == nil && ctx.Err() != nil {
			return p.report(true), nil // between two scenarios: all is restored
		}
		if why != "" {
			return p.report(true), &IncompleteError{Why: why, Killed: end.killed}
		}
	}
}

// readAll reads the scenario files once, in this process, so that all workers run the same. A file
// that can't be read is left to the workers, which report the error.
func readAll(files []runner.ScenarioFile) []runner.ScenarioFile {
	files = slices.Clone(files)
	for i, f := range files {
		if f.Data == nil {
			if data, err := schema.ReadFile(f.Path); err == nil {
				files[i].Data = data
			}
		}
	}
	return files
}

// runHere runs in this process.
func (t *task) runHere(scenarios Scenarios, o runner.RunOptions, why error) (*runner.RunReport, error) {
	r, err := t.runnerInProcess(why)
	if err != nil {
		return nil, err
	}
	prepared, err := r.Prepare(t.ctx, scenarios.Files, scenarios.SkipUnsupported)
	if err != nil {
		return nil, err
	}
	return r.Run(t.ctx, prepared, o)
}

// run does the work in the worker.
func (h *workerTask) run(ctx context.Context, r *runner.Runner, o *runOrder) (done, error) {
	if o.Died != nil {
		// First of all: the recovery does not need the files that are prepared below, which may be
		// gone meanwhile.
		interrupted, ends := h.recover(ctx, r, o)
		if ends {
			return done{Interrupted: interrupted}, nil
		}
	}
	prepared, err := r.Prepare(ctx, o.Scenarios.Files, o.Scenarios.SkipUnsupported)
	if err != nil {
		return done{}, err
	}
	h.inside.Tell(event{Prepared: len(prepared)})
	report, err := r.Run(ctx, prepared, o.Options)
	if err != nil {
		return done{}, err
	}
	return done{Interrupted: report.Interrupted}, nil
}

// recover ends the scenario in which another worker died. It returns true if the run ends with it.
func (h *workerTask) recover(ctx context.Context, r *runner.Runner, o *runOrder) (interrupted, ends bool) {
	if o.Died.Interrupted > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel() // the order to stop follows
	}
	d := o.Died.Died
	d.Results, d.Tried = allResults(o.Died.Results), byKey(allResults(o.Died.Tried))
	report := &runner.RunReport{UUID: o.Options.UUID}
	for _, x := range o.Died.Earlier {
		report.Scenarios = append(report.Scenarios, x.result())
	}
	report.Scenarios = append(report.Scenarios, r.Recover(ctx, d, o.Options))
	report.Interrupted = ctx.Err() != nil
	o.Options.From = runner.Position{Iteration: d.Position.Iteration, Index: d.Position.Index + 1}
	return report.Interrupted, r.Over(report, o.Options)
}

// since returns how long ago a time of another process's clock was.
func since(t time.Time) time.Duration { return max(0, time.Since(t)) }
