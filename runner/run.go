package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ebb-chaos/ebb/engine"
)

// RunOptions say how scenarios are run.
type RunOptions struct {
	UUID          string // of the run; a valid label value
	AutoRollback  bool   // undo after a failure; after a success it is always undone
	ExitOnFailure bool   // a failed scenario ends the run
	Iterations    int    // at least 1
	Daemon        bool   // iterate for ever
	Wait          time.Duration
	SkipPreflight bool // don't ask whether the user may do what the undo needs
}

// Execution is what came of one scenario file.
type Execution struct {
	Scenario  ScenarioFile
	Iteration int
	Err       error    // why the scenario failed; nil for success
	Results   []Result // what came of its version files
	Pending   []string // locations of files that were left for a replay on purpose
	Took      time.Duration
}

// RunReport is what came of a run.
type RunReport struct {
	UUID        string
	Executions  []Execution
	Interrupted bool
}

// Results returns what came of all version files of the run.
func (r *RunReport) Results() *Report {
	all := &Report{Interrupted: r.Interrupted}
	for _, x := range r.Executions {
		all.Results = append(all.Results, x.Results...)
	}
	return all
}

// Failed counts the scenarios that failed.
func (r *RunReport) Failed() int {
	n := 0
	for _, x := range r.Executions {
		if x.Err != nil {
			n++
		}
	}
	return n
}

// Pending counts the version files that are still to be replayed.
func (r *RunReport) Pending() int {
	n := r.Results().Pending() + r.Results().Refused()
	for _, x := range r.Executions {
		n += len(x.Pending)
	}
	return n
}

// Refused reports whether a scenario ended because ebb refused something.
func (r *RunReport) Refused() bool {
	for _, x := range r.Executions {
		if isRefused(x.Err) {
			return true
		}
	}
	return false
}

// Run runs scenarios one after the other. After a cancel of ctx the scenario that
// runs is undone, and no other is begun; neither is one after something that could
// not be undone, whatever the options say.
func (r *Runner) Run(ctx context.Context, scenarios []*Scenario, o RunOptions) *RunReport {
	report := &RunReport{UUID: o.UUID}
	for i := 1; o.Daemon || i <= max(1, o.Iterations); i++ {
		for n, s := range scenarios {
			if (i > 1 || n > 0) && o.Wait > 0 && !r.pause(ctx, o.Wait) || ctx.Err() != nil {
				report.Interrupted = true
				return report
			}
			x := r.execute(ctx, s, o)
			x.Iteration = i
			report.Executions = append(report.Executions, x)
			report.Interrupted = ctx.Err() != nil
			switch {
			case report.Interrupted:
				return report
			case report.Pending() > 0:
				r.Log.Error("something is not restored: no further scenario is started")
				return report
			case x.Err != nil && o.ExitOnFailure:
				return report
			}
			if o.Daemon && i > 1 {
				// A daemon's report would grow for ever: the last round is enough.
				report.Executions = report.Executions[max(0, len(report.Executions)-len(scenarios)):]
			}
		}
		if len(scenarios) == 0 {
			return report
		}
	}
	return report
}

// pause waits between scenarios and reports whether it was left in peace.
func (r *Runner) pause(ctx context.Context, d time.Duration) bool {
	if r.Progress != nil {
		defer r.Progress(d, "waiting before the next scenario")()
	}
	return sleep(ctx, d)
}

// execute runs one scenario file and undoes it.
func (r *Runner) execute(ctx context.Context, s *Scenario, o RunOptions) (report Execution) {
	began := time.Now()
	// Begun here, so that the grace counts from the signal on and not from when the
	// scenario has taken notice of it.
	after, cancel := graceful(ctx, r.Grace)
	defer cancel()
	report.Scenario = s.ScenarioFile
	x := &execution{runner: r, scenario: s, runUUID: o.UUID, flushed: map[string]string{}}
	r.Log.Info(fmt.Sprintf("Running scenario: %s (%s), run_uuid=%s", s.Path, s.Type, o.UUID))
	report.Err = x.begin(ctx)
	if report.Err == nil && !o.SkipPreflight {
		report.Err = r.preflight(ctx, s)
	}
	if report.Err == nil {
		report.Err = r.scenario(ctx, x, s)
	}
	if report.Err != nil {
		r.logFailure(ctx, s, report.Err)
	}

	// From here on a signal has been heard or has to be waited for: either way what
	// was begun is undone, within the grace that is left.
	switch {
	case report.Err == nil:
		x.reports = append(x.reports, x.replay(after, remove)...)
	case !o.AutoRollback:
		report.Pending = x.leave(after)
	default:
		x.reports = append(x.reports, x.replay(after, keep)...)
	}
	report.Results = latest(x.reports)
	if err := x.close(); err != nil {
		r.Log.Warn(fmt.Sprintf("closing the execution: %v", err))
	}
	report.Took = time.Since(began)
	return report
}

// latest returns the last result of each file: an undo in mid-run that failed is
// tried again at the end.
func latest(results []Result) []Result {
	var last []Result
	for i, result := range results {
		again := slices.ContainsFunc(results[i+1:], func(later Result) bool { return later.File.Timestamp == result.File.Timestamp })
		if !again {
			last = append(last, result)
		}
	}
	return last
}

// scenario calls the script's run for each map of the scenario file. Between them
// the cluster is put back, so that each finds it as the first did.
func (r *Runner) scenario(ctx context.Context, x *execution, s *Scenario) error {
	for i, config := range s.configs {
		session := x.session() // a new one: what was recorded for the map before covers no change of this one
		_, err := r.call(ctx, session, s.script.run, config)
		if err == nil && i < len(s.configs)-1 {
			err = x.Undo(ctx)
			if err == nil && s.script.between != nil {
				_, err = r.call(ctx, session, s.script.between, config)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// logFailure says why a scenario ended, with the script's line where there is one.
func (r *Runner) logFailure(ctx context.Context, s *Scenario, err error) {
	if ctx.Err() != nil {
		r.Log.Warn(fmt.Sprintf("Scenario %s was interrupted", s.Path))
		return
	}
	r.Log.Error(fmt.Sprintf("Scenario %s failed: %v", s.Path, err))
	var scriptErr *engine.Error
	if errors.As(err, &scriptErr) && scriptErr.Backtrace() != "" {
		r.Log.Debug(scriptErr.Backtrace())
	}
}

// leave names the files that stay for a replay.
func (x *execution) leave(ctx context.Context) []string {
	if x.store == nil {
		return nil
	}
	files, err := x.store.Files(ctx)
	if err != nil {
		// Something is there, or Begin would not have made it: say so rather than nothing.
		x.runner.Log.Error(fmt.Sprintf("%s: %v", x.store.Location(), err))
		return []string{x.store.Location()}
	}
	var left []string
	for _, f := range files {
		if f.Replayable() {
			left = append(left, f.Location)
			x.runner.Log.Warn("auto_rollback is off, left for execute-rollback: " + f.Location)
		}
	}
	return left
}
