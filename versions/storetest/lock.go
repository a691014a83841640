package storetest

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
)

func lock(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	flush(t, e, "pod", "x")
	var locked *versions.LockedError
	if _, err := s.Open(t.Context(), e.ID()); !errors.As(err, &locked) {
		t.Fatalf("open of a live execution: got %v, want a *LockedError", err)
	}
	if locked.Execution != e.ID() || locked.Holder.PID == 0 || locked.Holder.Host == "" || locked.Holder.Since.IsZero() {
		t.Errorf("got %+v, want the holder", locked)
	}
	list(t, s, versions.Filter{}) // takes no lock
	closeNow(t, e)

	// Of many goroutines that open an execution, one gets it.
	const n = 8
	opened := make(chan versions.Execution, n)
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			e, err := s.Open(t.Context(), e.ID())
			if err == nil {
				opened <- e
			} else if !errors.As(err, new(*versions.LockedError)) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	close(opened)
	if len(opened) != 1 {
		t.Errorf("got %d holders, want 1", len(opened))
	}
	for again := range opened {
		if _, took := again.TookOver(); took {
			t.Error("took over from a holder that had closed")
		}
		closeNow(t, again)
	}
	_, err := s.Open(t.Context(), "1-"+run)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: got %v, want fs.ErrNotExist", err)
	}
}

// Busy reports whether an execution is in use, and changes nothing.
func busy(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	flush(t, e, "pod", "x")
	var locked *versions.LockedError
	if err := s.Busy(t.Context(), e.ID()); !errors.As(err, &locked) || locked.Execution != e.ID() || locked.Holder.PID == 0 || locked.Location == "" {
		t.Errorf("a live execution: got %v, want a *LockedError with its holder", err)
	}
	closeNow(t, e)
	for range 2 {
		if err := s.Busy(t.Context(), e.ID()); err != nil {
			t.Errorf("a closed execution: got %v, want nil", err)
		}
	}
	again, err := s.Open(t.Context(), e.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, took := again.TookOver(); took {
		t.Error("took over from somebody who only asked")
	}
	if err := s.Busy(t.Context(), e.ID()); !errors.As(err, new(*versions.LockedError)) {
		t.Errorf("an execution that was opened again: got %v, want a *LockedError", err)
	}
	closeNow(t, again)
	if err := s.Busy(t.Context(), "1-"+run); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: got %v, want fs.ErrNotExist", err)
	}
}

// Calls of Busy and List, however many, never make an Open or a Begin fail.
func looking(t *testing.T, s versions.Store, opens int) {
	e := begin(t, s, run)
	flush(t, e, "pod", "x")
	closeNow(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for ctx.Err() == nil {
				err := s.Busy(ctx, e.ID())
				if err != nil && !errors.As(err, new(*versions.LockedError)) && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range opens {
		again, err := s.Open(t.Context(), e.ID())
		if err != nil {
			t.Error(err)
			break
		}
		closeNow(t, again)
	}
	cancel()
	group.Wait()
}
