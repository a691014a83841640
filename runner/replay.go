package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// Selection says what to replay.
type Selection struct {
	RunUUID      string // exact; empty selects all
	ScenarioType string // exact; empty selects all
	DryRun       bool   // list what would be done, change nothing
	KeepGoing    bool   // replay older files of an execution after a newer one failed
	Parallel     int    // executions at the same time; at least 1

	// Tried is what came of files, by their keys, that an earlier process of this replay could
	// not undo. They are not tried again, and nothing more is said of them.
	Tried map[string]Result

	// Lost are files, by their keys, whose code ended such a process: they fail for that
	// reason and are not tried again.
	Lost map[string]error
}

// undoing says how files are undone.
type undoing struct {
	scenarioType string // exact; empty means all
	keepGoing    bool
	then         after
	stop         <-chan struct{} // once it is closed, no other file is begun
	tried        map[string]Result
	lost         map[string]error
	past         past
	dryRun       bool
	patience     time.Time // until then, locks are waited for
}

// settled reports whether a file is not to be tried.
func (u undoing) settled(f versions.File) bool {
	_, tried := u.tried[f.Key()]
	return tried || u.lost[f.Key()] != nil
}

// UnknownRunError means that the store has nothing of a run.
type UnknownRunError struct {
	RunUUID string
	Known   []string
}

func (e *UnknownRunError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("no version files of run %q: there are none at all", e.RunUUID)
	}
	return fmt.Sprintf("no version files of run %q: there are some of %s", e.RunUUID, strings.Join(e.Known, ", "))
}

// Replay undoes what is pending. The error says why nothing was tried; what came
// of each file is in the report.
func (r *Runner) Replay(ctx context.Context, sel Selection) (*Report, error) {
	listing, err := r.Store.List(ctx, versions.Filter{RunUUID: sel.RunUUID, ScenarioType: sel.ScenarioType})
	if err != nil {
		return nil, err
	}
	for _, p := range listing.Problems {
		r.Log.Warn(fmt.Sprintf("%s: %s", p.Location, p.What))
	}
	if sel.RunUUID != "" && len(listing.Executions) == 0 {
		if err := r.knownRun(ctx, sel.RunUUID); err != nil {
			return nil, err
		}
	}
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if f.Kind == versions.KindForeign && f.State == versions.Pending {
				r.Log.Warn(fmt.Sprintf("%s is Krkn's Python, which ebb can't replay: it is left alone", f.Location))
			}
		}
	}
	if !sel.DryRun && sel.ScenarioType == "" {
		r.removeEmpty(ctx, listing.Executions)
	}
	report := &Report{}
	var mu sync.Mutex
	add := func(results []Result) {
		mu.Lock()
		defer mu.Unlock()
		report.Results = append(report.Results, results...)
	}
	u := undoing{
		scenarioType: sel.ScenarioType, keepGoing: sel.KeepGoing, then: keep, stop: ctx.Done(),
		tried: sel.Tried, lost: sel.Lost,
		dryRun: sel.DryRun, patience: time.Now().Add(lockPatience),
	}
	if slices.ContainsFunc(listing.Executions, replayable) {
		u.past = r.past(ctx)
	}
	group := errgroup.Group{}
	group.SetLimit(max(1, sel.Parallel))
	for _, chain := range r.chains(ctx, listing.Executions, u) {
		group.Go(func() error {
			var failed *Result
			for _, info := range chain.executions {
				results := r.replayExecution(ctx, info, u, failed)
				add(results)
				if i := slices.IndexFunc(results, func(x Result) bool { return !x.Outcome.Undone() && x.Outcome != Planned }); i >= 0 && failed == nil && !sel.KeepGoing {
					failed = &results[i]
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	report.Interrupted = ctx.Err() != nil
	return report, nil
}

// removeEmpty removes executions of runs that were killed before they had anything to
// undo. One that is alive is locked; one that somebody else removed is no matter.
func (r *Runner) removeEmpty(ctx context.Context, executions []versions.ExecutionInfo) {
	for _, info := range executions {
		if len(info.Files) > 0 || len(info.Problems) > 0 {
			continue
		}
		x, err := r.Store.Open(ctx, info.ID)
		if err == nil {
			err = x.Close()
		}
		var locked *versions.LockedError
		if err != nil && !errors.As(err, &locked) && !errors.Is(err, fs.ErrNotExist) {
			r.Log.Warn(fmt.Sprintf("%s: %v", info.Location, err))
		}
	}
}

func replayable(x versions.ExecutionInfo) bool {
	return slices.ContainsFunc(x.Files, versions.File.Replayable)
}

// knownRun returns an *UnknownRunError unless the store has something of a run,
// of whatever scenario type.
func (r *Runner) knownRun(ctx context.Context, uuid string) error {
	all, err := r.Store.List(ctx, versions.Filter{})
	if err != nil {
		return err
	}
	e := &UnknownRunError{RunUUID: uuid}
	for _, x := range all.Executions {
		if x.RunUUID == uuid {
			return nil
		}
		if !slices.Contains(e.Known, x.RunUUID) {
			e.Known = append(e.Known, x.RunUUID)
		}
	}
	return e
}

// lockPatience is how long a replay waits for locks from its start on: those of a process
// that was killed just before go a moment later than the process itself.
const lockPatience = time.Second

// openExecution locks an execution.
func (r *Runner) openExecution(ctx context.Context, id string, until time.Time) (versions.Execution, error) {
	for {
		x, err := r.Store.Open(ctx, id)
		var locked *versions.LockedError
		if !errors.As(err, &locked) || time.Now().After(until) || !sleep(ctx, lockPatience/20) {
			return x, err
		}
	}
}

// replayExecution replays one execution, or says of each of its files why not.
func (r *Runner) replayExecution(ctx context.Context, info versions.ExecutionInfo, u undoing, failed *Result) []Result {
	all := func(outcome Outcome, err error, by string) []Result {
		var results []Result
		for _, f := range info.Files {
			if f.Replayable() {
				results = append(results, Result{File: f, RunUUID: info.RunUUID, Outcome: outcome, Err: err, BlockedBy: by})
			}
		}
		if len(results) == 0 {
			results = []Result{{File: versions.File{Execution: info.ID, Location: info.Location}, RunUUID: info.RunUUID, Outcome: outcome, Err: err}}
		}
		return results
	}
	for _, p := range info.Problems {
		r.Log.Warn(fmt.Sprintf("%s: %s", p.Location, p.What)) // what it means for a file is the file's outcome
	}
	switch {
	case ctx.Err() != nil:
		return all(Blocked, ctx.Err(), "")
	case failed != nil:
		r.Log.Error(fmt.Sprintf("%s is blocked by %s, which changed the same", info.Location, failed.File.Location))
		return all(Blocked, fmt.Errorf("blocked by %s", failed.File.Location), failed.File.Location)
	case u.dryRun:
		return r.planExecution(ctx, info, u)
	}
	kind := u.scenarioType
	if kind == "" {
		kind = "*"
	}
	r.Log.Info(fmt.Sprintf("Executing rollback for run_uuid=%s, scenario_type=%s", info.RunUUID, kind))
	x, err := r.openExecution(ctx, info.ID, u.patience)
	var locked *versions.LockedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // somebody else finished it meanwhile
	case errors.As(err, &locked):
		r.Log.Warn(fmt.Sprintf("%s is left alone: %v", info.Location, err))
		return all(Skipped, err, "")
	case err != nil:
		r.Log.Error(fmt.Sprintf("%s: %v", info.Location, err))
		return all(classify(err), err, "")
	}
	r.sayOpened(x)
	r.Log.Info(fmt.Sprintf("Executing rollback version files for run_uuid=%s, scenario_type=%s", info.RunUUID, kind))
	after, cancel := graceful(ctx, r.Grace)
	defer cancel()
	results := r.undoAll(after, x, u)
	if err := x.Close(); err != nil {
		r.Log.Warn(fmt.Sprintf("%s: %v", info.Location, err))
	}
	return results
}

// undoAll undoes the pending files of a locked execution, newest first. The first
// that fails blocks the older ones: their steps came before it, and undoing them
// under it may make things worse.
func (r *Runner) undoAll(ctx context.Context, x versions.Execution, u undoing) []Result {
	files, err := x.Files(ctx)
	if err != nil {
		err = fmt.Errorf("%s: %w", x.Location(), err)
		r.Log.Error(err.Error())
		return []Result{{File: versions.File{Execution: x.ID(), Location: x.Location()}, RunUUID: x.RunUUID(), Outcome: classify(err), Err: err}}
	}
	var results []Result
	var blockedBy *versions.File
	for _, f := range files {
		if !f.Replayable() || u.scenarioType != "" && f.ScenarioType != u.scenarioType {
			continue
		}
		if blockedBy != nil && !u.keepGoing {
			r.Log.Error(fmt.Sprintf("%s is blocked by %s", f.Location, blockedBy.Location))
			results = append(results, Result{File: f, RunUUID: x.RunUUID(), Outcome: Blocked, Err: fmt.Errorf("blocked by %s", blockedBy.Location), BlockedBy: blockedBy.Location})
			continue
		}
		if stopped(u.stop) {
			results = append(results, Result{File: f, RunUUID: x.RunUUID(), Outcome: Blocked, Err: context.Canceled})
			continue
		}
		result, tried := u.tried[f.Key()]
		if !tried {
			result = r.undo(ctx, x, f, u)
		}
		results = append(results, result)
		if !result.Outcome.Undone() && blockedBy == nil {
			blockedBy = &f
		}
	}
	return results
}

func stopped(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// sleep reports whether it was left in peace.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// planExecution says what a replay would do. It takes no lock: it changes nothing,
// and a run that is live may be looked at.
func (r *Runner) planExecution(ctx context.Context, info versions.ExecutionInfo, u undoing) []Result {
	var results []Result
	for _, f := range info.Files {
		if !f.Replayable() {
			continue
		}
		if result, ok := u.tried[f.Key()]; ok {
			results = append(results, result)
			continue
		}
		result := Result{File: f, RunUUID: info.RunUUID, Outcome: Planned}
		err := u.lost[f.Key()]
		if err == nil {
			err = r.plan(ctx, f, u, &result)
		}
		if err != nil {
			result.Outcome, result.Err = classify(err), err
		}
		results = append(results, result)
		r.finished(result)
	}
	// A directory that can't be looked into is refused by a replay too: a plan must not say that all is well.
	if i := slices.IndexFunc(info.Problems, func(p versions.Problem) bool { return p.Location == info.Location }); i >= 0 && len(results) == 0 {
		p := info.Problems[i]
		results = append(results, Result{
			File: versions.File{Execution: info.ID, Location: info.Location}, RunUUID: info.RunUUID, Outcome: Refused,
			Err: &RefusedError{Err: fmt.Errorf("%q %s", p.Location, p.What), Hint: p.Remedy},
		})
	}
	return results
}

func (r *Runner) plan(ctx context.Context, f versions.File, u undoing, result *Result) error {
	content, err := r.Store.Read(ctx, f)
	if err != nil {
		return err
	}
	result.Integrity = versions.IntegritySince(content, u.past.flushed[f.Key()])
	defer r.watch(f)()
	file, err := r.load(ctx, f.Location, content)
	if err != nil {
		return err
	}
	if err := r.checkOrigin(file, result); err != nil {
		return err
	}
	s := r.undoSession(builtins.Plan, file, nil)
	if err := r.callFile(ctx, s, file.callable, file.content); err != nil {
		return err
	}
	result.Actions = s.Actions()
	if len(result.Actions) == 0 {
		result.Actions = s.AlreadyRestored()
	}
	return nil
}
