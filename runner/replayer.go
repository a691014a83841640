package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/versions"
)

// replayer undoes version files, or plans their undo. It decides which files may be undone: which
// are selected, in use, refused or blocked. That is the same code for a replay and for its plan;
// only the method file differs.
type replayer struct {
	*Runner
	ReplayOptions
	then      after           // what happens to a file after its undo
	stop      <-chan struct{} // when it is closed, no further file is started
	journaled record
	patience  time.Time         // how long to wait for locks
	keys      map[string]bool   // ReplayOptions.Only; nil if it is empty
	beliefs   *builtins.Beliefs // the cluster as the plans of one chain would leave it
}

// after says what happens to a file after its undo.
type after bool

const (
	keep   after = false // it is renamed .executed
	remove after = true  // it is removed: the scenario succeeded
)

func (r *Runner) replayer(o ReplayOptions) *replayer {
	p := &replayer{Runner: r, ReplayOptions: o, then: keep, patience: time.Now().Add(lockPatience), beliefs: &builtins.Beliefs{}}
	for _, key := range o.Only {
		if p.keys == nil {
			p.keys = map[string]bool{}
		}
		p.keys[key] = true
	}
	return p
}

// only reports whether a file is selected by Only.
func (p *replayer) only(f versions.File) bool { return p.keys == nil || p.keys[f.Key()] }

// execution replays one execution, or returns for each of its files why not. failed is the file of
// a newer execution that shares a ref and was not undone.
func (p *replayer) execution(ctx context.Context, info versions.ExecutionInfo, failed *Result) []Result {
	log := p.executionLog(info.RunUUID, info.ID)
	for _, problem := range info.Problems {
		log.Warn(fmt.Sprintf("%s: %s", problem.Location, problem.What)) // the outcome of the file says what follows from it
	}
	switch {
	case ctx.Err() != nil:
		return p.each(info, Blocked, &notBegunError{ctx.Err()}, "")
	case failed != nil:
		log.Error(fmt.Sprintf("%s is blocked by %s, which changed the same object", info.Location, failed.File.Location))
		return p.each(info, Blocked, fmt.Errorf("blocked by %s", failed.File.Location), failed.File.Location)
	}
	kind := p.ScenarioType
	if kind == "" {
		kind = "*"
	}
	if !p.DryRun {
		log.Info(fmt.Sprintf("Executing rollback for run_uuid=%s, scenario_type=%s", info.RunUUID, kind))
	}
	x, err := p.open(ctx, info)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // another process has completed it meanwhile
	case KindOf(err) == KindLocked:
		log.Warn(fmt.Sprintf("%s is left alone: %v", info.Location, err))
		return p.each(info, Skipped, err, "")
	case err != nil:
		log.Error(fmt.Sprintf("%s: %v", info.Location, err))
		return p.each(info, outcomeOf(err), err, "")
	}
	if !p.DryRun {
		log.Info(fmt.Sprintf("Executing rollback version files for run_uuid=%s, scenario_type=%s", info.RunUUID, kind))
	}
	after, cancel := graceful(ctx, p.options.Grace)
	defer cancel()
	results := p.files(after, x)
	if err := x.Close(); err != nil {
		log.Warn(fmt.Sprintf("%s: %v", info.Location, err))
	}
	return results
}

// executionLog returns a logger whose lines name the execution.
func (r *Runner) executionLog(runUUID, id string) *slog.Logger {
	return r.options.Log.With("run_uuid", runUUID, "execution", id)
}

// each returns the same result for all pending files of an execution or, if there are none, for the
// execution.
func (p *replayer) each(info versions.ExecutionInfo, outcome Outcome, err error, by string) []Result {
	var results []Result
	for _, f := range info.Files {
		if f.Replayable() {
			results = append(results, Result{File: f, RunUUID: info.RunUUID, Outcome: outcome, Err: err, BlockedBy: by})
		}
	}
	if len(results) == 0 {
		return []Result{unread(info.ID, info.Location, info.RunUUID, outcome, err)}
	}
	return results
}

// unread is the result of an execution whose files are not known.
func unread(id, location, runUUID string, outcome Outcome, err error) Result {
	return Result{File: versions.File{Execution: id, Location: location}, RunUUID: runUUID, Outcome: outcome, Err: err}
}

// files replays the pending files of an open execution, newest first. The first file that is not
// undone blocks the older ones: they belong to earlier steps, and undoing those first may do harm.
func (p *replayer) files(ctx context.Context, x source) []Result {
	files, err := x.Files(ctx)
	if err != nil {
		err = fmt.Errorf("%s: %w", x.Location(), err)
		p.executionLog(x.RunUUID(), x.ID()).Error(err.Error())
		return []Result{unread(x.ID(), x.Location(), x.RunUUID(), outcomeOf(err), err)}
	}
	var results []Result
	var blockedBy *versions.File
	for _, f := range files {
		if !f.Replayable() || !p.only(f) || p.ScenarioType != "" && f.ScenarioType != p.ScenarioType {
			continue
		}
		result, tried := p.Tried[f.Key()]
		switch {
		case blockedBy != nil && !p.KeepGoing:
			p.fileLog(x, f).Error(fmt.Sprintf("%s is blocked by %s", f.Location, blockedBy.Location))
			result = Result{File: f, RunUUID: x.RunUUID(), Outcome: Blocked, Err: fmt.Errorf("blocked by %s", blockedBy.Location), BlockedBy: blockedBy.Location}
		case stopped(p.stop):
			result = Result{File: f, RunUUID: x.RunUUID(), Outcome: Blocked, Err: &notBegunError{context.Canceled}}
		case !tried:
			if result = p.file(ctx, x, f); result.Outcome == gone {
				continue
			}
		}
		results = append(results, result)
		if result.Outcome.blocks() && blockedBy == nil {
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

// file undoes one file, or plans to.
func (p *replayer) file(ctx context.Context, x source, f versions.File) Result {
	if locked, ok := x.(versions.Execution); ok && !p.DryRun {
		return p.undo(ctx, locked, f)
	}
	return p.plan(ctx, x, f)
}

// source is an execution as a replayer uses it: locked or, for a plan, only listed.
type source interface {
	ID() string
	RunUUID() string
	Location() string
	Files(context.Context) ([]versions.File, error)
	Read(context.Context, versions.File) ([]byte, error)
	Close() error
}

// open locks an execution. For a plan, it only checks that no other process has locked it, and uses
// the listing. A plan changes nothing.
func (p *replayer) open(ctx context.Context, info versions.ExecutionInfo) (source, error) {
	for {
		x, err := p.tryOpen(ctx, info)
		if KindOf(err) != KindLocked || time.Now().After(p.patience) || patience.Sleep(ctx, lockPatience/20) != nil {
			return x, err
		}
	}
}

func (p *replayer) tryOpen(ctx context.Context, info versions.ExecutionInfo) (source, error) {
	if p.DryRun {
		return look{info, p.store}, p.store.Busy(ctx, info.ID)
	}
	x, err := p.store.Open(ctx, info.ID)
	if err != nil {
		return nil, err
	}
	p.sayOpened(x)
	return x, nil
}

// sayOpened logs who held the execution before, and its warnings.
func (r *Runner) sayOpened(x versions.Execution) {
	log := r.executionLog(x.RunUUID(), x.ID())
	switch holder, ok := x.TookOver(); {
	case ok && holder.PID == 0: // its note can't be read
		log.Info(fmt.Sprintf("%s was left by a process that ended without undoing it", x.Location()))
	case ok:
		log.Info(fmt.Sprintf("%s was left by PID %d on host %s, which ended without undoing it", x.Location(), holder.PID, holder.Host))
	}
	for _, w := range x.Warnings() {
		log.Warn(w)
	}
}

// look is an execution that is listed and not locked.
type look struct {
	versions.ExecutionInfo
	store versions.Store
}

// ID implements source.
func (l look) ID() string { return l.ExecutionInfo.ID }

// RunUUID implements source.
func (l look) RunUUID() string { return l.ExecutionInfo.RunUUID }

// Location implements source.
func (l look) Location() string { return l.ExecutionInfo.Location }

// Files returns the listed files. It returns an error for a directory that can't be read, because a
// replay would fail there, too.
func (l look) Files(context.Context) ([]versions.File, error) {
	for _, problem := range l.Problems {
		if problem.Location == l.ExecutionInfo.Location {
			return nil, &versions.InsecureError{Path: problem.Location, Problem: problem.What, Remedy: problem.Remedy}
		}
	}
	return l.ExecutionInfo.Files, nil
}

// Read implements source.
func (l look) Read(ctx context.Context, f versions.File) ([]byte, error) { return l.store.Read(ctx, f) }

// Close implements source.
func (look) Close() error { return nil }
