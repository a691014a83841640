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
	Execution string // its ID in the store; empty if it could not be begun
	Began     time.Time
}

// Died is a scenario whose process ended while the scenario ran, or was undone.
type Died struct {
	Start
	Err *LostError

	// Results are what that process had said of its version files.
	Results []Result

	// Tried and Lost are as in [ReplayOptions], of processes that recovered the scenario and died,
	// too.
	Tried map[string]Result
	Lost  map[string]*LostError

	// Begun are the version files, by their keys, that these processes began to undo, and of which
	// none said what came of them. One that has another name now, or is gone, is restored.
	Begun map[string]versions.File

	// Unproven is the key of a file that was being rehearsed, if there was one: nothing was changed
	// under it yet. It is removed, as Run does with a file that can't be replayed.
	Unproven string

	// Interrupted is how long ago the run was told to end, so that the grace is not given anew. 0:
	// it was not.
	Interrupted time.Duration
}

// Recover ends a scenario whose process died, as Run ends one that failed: what it changed is
// undone or, with o.LeaveFailed, left. Of o nothing else counts. If the report of the run then does
// not say that the run is [Runner.Over], it goes on with [RunOptions.From].
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
	case errors.Is(err, fs.ErrNotExist) && !d.undoing(): // nothing was written, so that nothing was changed, or all is undone
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

// undoing reports whether a file of the scenario is begun and nothing was said of it. Its execution
// is removed later than that, so that one which is not there was removed by somebody else.
func (d Died) undoing() bool {
	for _, f := range d.Begun {
		if f.Execution == d.Execution {
			return true
		}
	}
	return false
}

// Unwitnessed is the effect of a scenario whose process died: what that process saw died with it.
func Unwitnessed(err error) []builtins.Effect {
	return []builtins.Effect{{State: builtins.NotObserved, Why: err.Error()}}
}

// discard removes a file under which nothing was changed. One that can't be removed is undone like
// any other, which does no harm.
func discard(ctx context.Context, log *slog.Logger, x versions.Execution, key string) {
	files, err := x.Files(ctx)
	for _, f := range files {
		if f.Key() == key && f.Replayable() {
			log.Info("Removing a version file that was not proven, before anything was changed: " + f.Location)
			err = errors.Join(err, x.Remove(ctx, f))
		}
	}
	if err != nil {
		log.Warn(fmt.Sprintf("%s: %v", x.Location(), err))
	}
}

// reopen locks the execution of a process that died, or finds that there is none.
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
