package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// Start is a scenario file that has begun.
type Start struct {
	Scenario  ScenarioFile
	Position  Position
	Execution string // its ID in the store; "" if it could not be created
	Began     time.Time
}

// Died describes a scenario whose process ended during the scenario or its undo.
type Died struct {
	Start
	Err *LostError

	// Results are the results that the process has reported.
	Results []Result

	// Tried and Lost are as in [ReplayOptions]. They are from processes that tried to recover the
	// scenario and died.
	Tried map[string]Result
	Lost  map[string]*LostError

	// Begun are the version files, by key, that these processes started to undo and reported no
	// result of. A file that was renamed or removed since is restored.
	Begun map[string]versions.File

	// Unproven is the key of the file that was being rehearsed, or "". The change that it undoes
	// was not made yet, so the file is removed.
	Unproven string

	// Interrupted is how long ago the run was cancelled. It is subtracted from the grace. 0: the
	// run was not cancelled.
	Interrupted time.Duration
}

// Recover ends a scenario whose process died, as Run ends a scenario that failed: it undoes the
// changes or, with o.LeaveFailed, leaves them. It uses no other field of o. Add the result to the
// report of the run. If the run is not [Runner.Over] then, continue it with [RunOptions.From].
func (r *Runner) Recover(ctx context.Context, d Died, o RunOptions) ScenarioResult {
	after, cancel := graceful(ctx, r.options.Grace-d.Interrupted)
	defer cancel()
	defer r.events.Flush(flushLimit)
	defer r.syncJournal(ctx)
	report := ScenarioResult{Scenario: d.Scenario, Position: d.Position, Began: d.Began, Err: d.Err, Effects: Unwitnessed(d.Err)}
	log := r.options.Log.With("run_uuid", o.UUID, "scenario", d.Scenario.Path, "execution", d.Execution)
	log.Error(fmt.Sprintf("Scenario %s failed: %v", d.Scenario.Path, d.Err))
	results := d.Results
	p := r.replayer(ReplayOptions{Tried: d.Tried, Lost: d.Lost, Begun: d.Begun})
	p.journaled = r.readJournal(after)
	x, err := r.reopen(after, p, d.Execution)
	if err == nil && d.Unproven != "" {
		discard(after, log, x, d.Unproven)
	}
	if err == nil {
		results = append(results, p.renamedOrRemoved(after, x)...)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && !d.undoing(): // either no version file was written, so nothing was changed, or everything is undone
	case err != nil:
		log.Error(fmt.Sprintf("%s: %v", d.Execution, err))
		results = append(results, unread(d.Execution, d.Execution, o.UUID, outcomeOf(err), err))
	case o.LeaveFailed:
		report.Pending = (&scenarioRun{runner: r, execution: x, log: log}).leave(after)
	default:
		results = append(results, p.files(after, x)...)
	}
	if err == nil {
		if err := x.Close(); err != nil {
			log.Warn(fmt.Sprintf("closing the execution: %v", err))
		}
	}
	report.Results = latest(results)
	report.Took = time.Since(d.Began)
	r.ended(report)
	return report
}

// undoing reports whether the undo of a file of the scenario has started without a result. The
// execution is removed only after the result, so if it is missing, another process has removed it.
func (d Died) undoing() bool {
	for _, f := range d.Begun {
		if f.Execution == d.Execution {
			return true
		}
	}
	return false
}

// Unwitnessed is the effect of a scenario whose process died: what the process has seen of the
// chaos is lost.
func Unwitnessed(err error) []builtins.Effect {
	return []builtins.Effect{{State: builtins.NotObserved, Why: err.Error()}}
}

// discard removes a file whose change was not made. If it can't be removed, it is undone like any
// other, which does no harm.
func discard(ctx context.Context, log *slog.Logger, x versions.Execution, key string) {
	files, err := x.Files(ctx)
	for _, f := range files {
		if f.Key() == key && f.Replayable() {
			log.Info("Removing a version file whose change was not made: " + f.Location)
			err = errors.Join(err, x.Remove(ctx, f))
		}
	}
	if err != nil {
		log.Warn(fmt.Sprintf("%s: %v", x.Location(), err))
	}
}

// reopen locks the execution of a process that died. The error wraps fs.ErrNotExist if there is
// none.
func (r *Runner) reopen(ctx context.Context, p *replayer, id string) (versions.Execution, error) {
	if id == "" {
		return nil, fs.ErrNotExist
	}
	x, err := p.open(ctx, versions.ExecutionInfo{ID: id})
	if err != nil {
		return nil, err
	}
	return x.(versions.Execution), nil
}
