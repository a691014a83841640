package versions

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// Cleanup removes version files that were executed longer than olderThan ago, and executions that a
// crash left empty as long ago. It removes no pending file and nothing of Krkn's, and leaves alone
// what somebody has locked. After an error it goes on; removed has what is gone.
func Cleanup(ctx context.Context, s Store, olderThan time.Duration, now time.Time) (removed []File, err error) {
	listing, err := s.List(ctx, Filter{})
	if err != nil {
		return nil, err
	}
	before := now.Add(-olderThan)
	var errs []error
	for _, info := range listing.Executions {
		if err := ctx.Err(); err != nil {
			return removed, errors.Join(append(errs, err)...)
		}
		// An execution with something in it that we don't know is not empty.
		empty := len(info.Files) == 0 && len(info.Problems) == 0 && info.Changed.Before(before)
		if !empty && len(outdated(info.Files, before)) == 0 {
			continue
		}
		gone, err := cleanExecution(ctx, s, info.ID, before)
		removed = append(removed, gone...)
		var locked *LockedError
		if err != nil && !errors.As(err, &locked) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

func cleanExecution(ctx context.Context, s Store, id string, before time.Time) (removed []File, err error) {
	e, err := s.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }() // removes it if it is empty now
	files, err := e.Files(ctx)
	if err != nil {
		return nil, err
	}
	old := outdated(files, before)
	if len(old) == 0 {
		return nil, nil
	}
	if err := e.Remove(ctx, old...); err != nil {
		return nil, err
	}
	return old, nil
}

// outdated returns the executed files of ours that last changed, that is were executed, before a
// time.
func outdated(files []File, before time.Time) (old []File) {
	for _, f := range files {
		if f.Kind == KindVersion && f.State == Executed && f.Changed.Before(before) {
			old = append(old, f)
		}
	}
	return old
}
