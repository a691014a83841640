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
	after, cancel := context.WithCancel(context.WithoutCancel(ctx))
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
