package runner

import (
	"context"

	"github.com/ebb-chaos/ebb/versions"
)

// held returns a context that ends when another process takes the execution over, because this one
// must make no more changes then. Call the returned function to release its resources.
func held(ctx context.Context, x any) (context.Context, context.CancelFunc) {
	losable, ok := x.(versions.Losable)
	if !ok || losable.Lost() == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		select {
		case <-losable.Lost():
			cancel(losable.LostTo())
		case <-over:
		}
	}()
	return ctx, func() {
		close(over)
		cancel(nil)
	}
}

// lostTo returns the error that says which process took an execution over, or nil if none did.
func lostTo(x any) error {
	if losable, ok := x.(versions.Losable); ok {
		return losable.LostTo()
	}
	return nil
}

// permitOf is the function that a session calls before a change. It is nil if no other process can
// take the execution over.
func permitOf(x any, undo bool) func(context.Context) (func() error, error) {
	losable, ok := x.(versions.Losable)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (func() error, error) { return losable.Permit(ctx, undo) }
}
