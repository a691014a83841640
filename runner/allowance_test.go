package runner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestAllowanceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := withAllowance(t.Context(), time.Minute, func() time.Duration { return time.Hour })
		defer cancel()
		<-ctx.Done()
		if took := time.Since(began); took != time.Minute || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("ended after %s with %v, want 1m and a deadline", took, ctx.Err())
		}
	})
}

// What the API server is away for does not count, whenever it is away.
func TestAllowanceLeavesOutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		away := func(from, to time.Duration) time.Duration { return min(max(time.Since(began)-from, 0), to-from) }
		waited := func() time.Duration {
			return away(10*time.Second, 40*time.Second) + away(70*time.Second, 90*time.Second)
		}
		ctx, cancel := withAllowance(t.Context(), time.Minute, waited)
		defer cancel()
		<-ctx.Done()
		if took := time.Since(began); took != 110*time.Second {
			t.Fatalf("ended after %s, want 1m50s", took)
		}
	})
}

func TestAllowanceFollowsItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, stop := context.WithCancel(t.Context())
		ctx, cancel := withAllowance(parent, time.Minute, func() time.Duration { return 0 })
		child, cancelChild := context.WithTimeout(ctx, time.Hour)
		defer cancelChild()
		stop()
		<-child.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Fatalf("got %v, want the parent's error", ctx.Err())
		}
		cancel()
		time.Sleep(2 * time.Minute) // the timer is gone, too
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Fatalf("got %v later", ctx.Err())
		}
	})
}

func TestGraceful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, stop := context.WithCancel(t.Context())
		ctx, cancel := graceful(parent, 25*time.Second)
		defer cancel()
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Fatalf("ended with %v before its parent", ctx.Err())
		}
		began := time.Now()
		stop()
		<-ctx.Done()
		if took := time.Since(began); took != 25*time.Second {
			t.Fatalf("ended %s after its parent, want 25s", took)
		}
	})
}
