package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/ebb-chaos/ebb/versions"
)

// ReplayFile undoes one file of the store, whatever its state: an executed one is
// replayed and keeps its name. A pending file waits for newer ones of its
// execution, unless keepGoing says otherwise.
func (r *Runner) ReplayFile(ctx context.Context, f versions.File, keepGoing bool) (*Report, error) {
	x, err := r.openExecution(ctx, f.Execution, time.Now().Add(lockPatience))
	if err != nil {
		return nil, err
	}
	r.sayOpened(x)
	result, err := r.replayFile(ctx, x, f, keepGoing)
	if cerr := x.Close(); cerr != nil {
		r.Log.Warn(fmt.Sprintf("%s: %v", x.Location(), cerr))
	}
	if err != nil {
		return nil, err
	}
	return &Report{Results: []Result{result}, Interrupted: ctx.Err() != nil}, nil
}

func (r *Runner) replayFile(ctx context.Context, x versions.Execution, f versions.File, keepGoing bool) (Result, error) {
	files, err := x.Files(ctx)
	if err != nil {
		return Result{}, err
	}
	for _, newer := range files {
		if newer.Timestamp > f.Timestamp && newer.Replayable() && f.Replayable() && !keepGoing {
			return Result{}, &RefusedError{
				Err:  fmt.Errorf("%s is newer and has to be undone first", newer.Location),
				Hint: "replay them all: ebb execute-rollback --run_uuid " + x.RunUUID() + ", or use --keep-going",
			}
		}
	}
	after, cancel := graceful(ctx, r.Grace)
	defer cancel()
	return r.undo(after, x, f, undoing{then: keep, past: r.past(ctx)}), nil
}

// Diagnose says what is wrong with a version file, without running its functions.
// Warnings are findings that a replay can live with.
func (r *Runner) Diagnose(ctx context.Context, name string, content []byte) (errs []error, warnings []error) {
	for _, d := range r.engine.Check(name, content, nameVersion, nameContent, nameCallable, nameVerify) {
		if d.Warning {
			warnings = append(warnings, d.Error)
		} else {
			errs = append(errs, d.Error)
		}
	}
	if len(errs) > 0 {
		return errs, warnings
	}
	file, err := r.load(ctx, name, content)
	switch {
	case err != nil:
		errs = append(errs, err)
	case file.verify == nil:
		warnings = append(warnings, fmt.Errorf("%s: has no %s: a replay will be \"%s\"", name, nameVerify, Unverified))
	}
	return errs, warnings
}

// sayOpened says whose execution it was, and what is doubtful in it.
func (r *Runner) sayOpened(x versions.Execution) {
	switch holder, ok := x.TookOver(); {
	case ok && holder.PID == 0: // its note can't be read
		r.Log.Info(fmt.Sprintf("%s was left by a process that ended without undoing it", x.Location()))
	case ok:
		r.Log.Info(fmt.Sprintf("%s was left by PID %d on host %s, which ended without undoing it", x.Location(), holder.PID, holder.Host))
	}
	for _, w := range x.Warnings() {
		r.Log.Warn(w)
	}
}
