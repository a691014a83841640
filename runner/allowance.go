package runner

import (
	"context"
	"sync"
	"time"
)

// allowance is a context that ends after a time in which what waited reports does
// not count: a file's time must not run out while the API server is away, for
// which there is a limit of its own.
type allowance struct {
	context.Context // the parent
	done            chan struct{}

	mu  sync.Mutex
	err error
}

// withAllowance returns a context that is done limit after now, plus what waited
// has grown by, or when parent is. Calling the function frees what it holds.
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

// Deadline implements context.Context: when it will end is not known.
func (a *allowance) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (a *allowance) Done() <-chan struct{} { return a.done }

// Err implements context.Context.
func (a *allowance) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// graceful returns a context for what must still be done after ctx was cancelled:
// it ends grace later. Calling the function frees what it holds.
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

// beforeGrace is the key of the context that a graceful one goes on after.
type beforeGrace struct{}

// namingLimit is how long, after a signal, a file waits for its new name: the undo of the next one is
// worth more of the grace. Without a signal, a store that is away is waited for.
const namingLimit = 5 * time.Second

// naming returns a context for what says that a file is undone: a cancelled one does not stop that.
func naming(ctx context.Context) (context.Context, context.CancelFunc) {
	if before, ok := ctx.Value(beforeGrace{}).(context.Context); ok {
		return graceful(before, namingLimit)
	}
	return context.WithoutCancel(ctx), func() {}
}
