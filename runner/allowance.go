package runner

import (
	"context"
	"sync"
	"time"
)

// allowance is a context that ends after a time, not counting the time that waited reports. The
// time of a file must not run out while the API server is away: that wait has a limit of its own.
type allowance struct {
	context.Context // the parent
	done            chan struct{}

	mu  sync.Mutex
	err error
}

// withAllowance returns a context that ends limit from now, plus the growth of waited, or when
// parent ends. Call the returned function to release its resources.
func withAllowance(parent context.Context, limit time.Duration, waited func() time.Duration) (context.Context, context.CancelFunc) {
	a := &allowance{Context: parent, done: make(chan struct{})}
	began, before := time.Now(), waited()
	var timer *time.Timer
	a.mu.Lock()
	defer a.mu.Unlock()
	timer = time.AfterFunc(limit, func() {
		left := limit + waited() - before - time.Since(began)
		if left <= 0 {
			a.end(context.DeadlineExceeded)
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.err == nil {
			timer.Reset(left)
		}
	})
	stop := context.AfterFunc(parent, func() { a.end(parent.Err()) })
	return a, func() {
		stop()
		timer.Stop()
		a.end(context.Canceled)
	}
}

func (a *allowance) end(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
		close(a.done)
	}
}

// Deadline implements context.Context. The end is not known.
func (a *allowance) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (a *allowance) Done() <-chan struct{} { return a.done }

// Err implements context.Context.
func (a *allowance) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// graceful returns a context for work that must still be done after ctx was cancelled. It ends
// grace after that. Call the returned function to release its resources.
func graceful(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	after, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), beforeGrace{}, ctx))
	var mu sync.Mutex
	var timer *time.Timer
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(grace, cancel)
	})
	return after, func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
		cancel()
	}
}

// beforeGrace is the key under which a graceful context stores the context that it continues.
type beforeGrace struct{}

// namingLimit is how long a rename may take after a signal: the grace is needed for the undo of the
// next file. Without a signal, the rename waits for a store that is away.
const namingLimit = 5 * time.Second

// naming returns a context for the rename of an undone file. It does not end when ctx is cancelled.
func naming(ctx context.Context) (context.Context, context.CancelFunc) {
	if before, ok := ctx.Value(beforeGrace{}).(context.Context); ok {
		return graceful(before, namingLimit)
	}
	return context.WithoutCancel(ctx), func() {}
}
