package versions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// CleanupOptions say what is removed.
type CleanupOptions struct {
	OlderThan    time.Duration // executed longer ago than this
	Keep         int           // executed executions, the newest, that stay; older ones go at any age. 0: any number
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

// Cleanup removes version files that were executed longer ago than the options say, or of which there
// are newer ones enough, and executions that a crash left empty as long ago. It removes no pending file and nothing of Krkn's, and leaves
// alone what somebody has locked. The journal gets a line for each execution. After an error it goes
// on; removed has what is gone.
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
		// An execution with something in it that we don't know is not empty.
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

// Remnant is something that a store has beside version files, and that is of no use any more.
type Remnant struct {
	Location string
	What     string // "a day of the journal"
}

// RemnantCleaner is a store of which more remains than a directory's.
type RemnantCleaner interface {
	// CleanRemnants removes what is older than a time and belongs to no execution that is still there: parts
	// of the journal, and what keeps the processes of executions apart. removed has what is gone, or would be.
	CleanRemnants(ctx context.Context, before time.Time, dryRun bool) (removed []Remnant, err error)
}

// CleanRemnants removes what is old of a store beside version files, where the store has that. It is
// done after [Cleanup], and for all runs and scenario types.
func CleanRemnants(ctx context.Context, s Store, o CleanupOptions) (removed []Remnant, err error) {
	cleaner, ok := s.(RemnantCleaner)
	if !ok || o.RunUUID != "" || o.ScenarioType != "" {
		return nil, nil
	}
	return cleaner.CleanRemnants(ctx, o.before(), o.DryRun)
}

// clean removes what is old in one execution. A process that is killed in the middle has removed
// files of which the journal says nothing: what was removed needs no undo.
func (o CleanupOptions) clean(ctx context.Context, s Store, info ExecutionInfo) (removed []File, err error) {
	e, err := s.Open(ctx, info.ID)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }() // removes it if it is empty now
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

// outdated returns the executed files of ours that last changed, that is were executed, long ago.
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
