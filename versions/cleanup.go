package versions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// CleanupOptions say what to remove.
type CleanupOptions struct {
	OlderThan    time.Duration // minimal age of an executed file
	Keep         int           // keep at most the newest Keep executed executions, whatever their age; 0: no such limit
	Now          time.Time     // zero: the time of the call
	RunUUID      string        // exact; empty selects all
	ScenarioType string        // exact; empty selects all
	DryRun       bool          // only return what would be removed
}

func (o CleanupOptions) before() time.Time {
	if o.Now.IsZero() {
		return time.Now().Add(-o.OlderThan)
	}
	return o.Now.Add(-o.OlderThan)
}

// Cleanup removes executed version files that are older than OlderThan, or that are not among the
// newest Keep executions. It also removes executions that a crash left empty, at the same age. It
// removes no pending file and no file of Krkn's, and skips executions that are locked. It writes a
// journal line for each execution. After an error it continues. removed has the files that are
// removed.
func Cleanup(ctx context.Context, s Store, o CleanupOptions) (removed []File, err error) {
	listing, err := s.List(ctx, Filter{RunUUID: o.RunUUID, ScenarioType: o.ScenarioType})
	if err != nil {
		return nil, err
	}
	var errs []error
	done := 0                                 // executions of which nothing is pending
	for _, info := range listing.Executions { // the newest first
		if err := ctx.Err(); err != nil {
			return removed, errors.Join(append(errs, err)...)
		}
		// An execution that contains something unknown is not empty.
		empty := len(info.Files) == 0 && len(info.Problems) == 0 && info.Changed.Before(o.before())
		o := o
		if o.isDone(info.Files) {
			if done++; o.Keep > 0 && done > o.Keep {
				o.OlderThan = 0
			}
		}
		old := o.outdated(info.Files)
		if !empty && len(old) == 0 {
			continue
		}
		if o.DryRun {
			removed = append(removed, old...)
			continue
		}
		gone, err := o.clean(ctx, s, info)
		removed = append(removed, gone...)
		var locked *LockedError
		if err != nil && !errors.As(err, &locked) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// Remnant is an object of a store that is not a version file, and that is no longer needed.
type Remnant struct {
	Location string
	What     string // "a day of the journal"
}

// RemnantCleaner is a store that leaves more objects behind than a directory does.
type RemnantCleaner interface {
	// CleanRemnants removes objects that are older than a time and belong to no existing execution:
	// days of the journal, and the fences of executions. removed has what is removed or, in a dry
	// run, what would be.
	CleanRemnants(ctx context.Context, before time.Time, dryRun bool) (removed []Remnant, err error)
}

// CleanRemnants removes old objects of a store that are not version files, if the store has any.
// Call it after [Cleanup]. It applies to all runs and scenario types.
func CleanRemnants(ctx context.Context, s Store, o CleanupOptions) (removed []Remnant, err error) {
	cleaner, ok := s.(RemnantCleaner)
	if !ok || o.RunUUID != "" || o.ScenarioType != "" {
		return nil, nil
	}
	return cleaner.CleanRemnants(ctx, o.before(), o.DryRun)
}

// clean removes the old files of one execution. If the process is killed, files may be gone without
// a journal line. They were executed and need no undo.
func (o CleanupOptions) clean(ctx context.Context, s Store, info ExecutionInfo) (removed []File, err error) {
	e, err := s.Open(ctx, info.ID)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }() // removes the execution if it is empty now
	files, err := e.Files(ctx)
	if err != nil {
		return nil, err
	}
	old := o.outdated(files)
	if len(old) == 0 {
		return nil, nil
	}
	if err := e.Remove(ctx, old...); err != nil {
		return nil, err
	}
	return old, s.Append(ctx, Entry{
		Event: EventCleanup, RunUUID: info.RunUUID, ScenarioType: o.ScenarioType, Execution: info.ID,
		Message: fmt.Sprintf("%d executed version file(s) removed", len(old)),
	})
}

// isDone reports whether an execution has executed files, and nothing else to undo.
func (o CleanupOptions) isDone(files []File) bool {
	return slices.ContainsFunc(files, func(f File) bool { return f.Kind == KindVersion && f.State == Executed }) &&
		!slices.ContainsFunc(files, func(f File) bool { return f.State == Pending })
}

// outdated returns the executed version files that were executed before a time.
func (o CleanupOptions) outdated(files []File) (old []File) {
	before := o.before()
	for _, f := range files {
		selected := o.ScenarioType == "" || o.ScenarioType == f.ScenarioType
		if selected && f.Kind == KindVersion && f.State == Executed && f.Changed.Before(before) {
			old = append(old, f)
		}
	}
	return old
}
