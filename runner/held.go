package runner

import (
	"context"

	"github.com/ebb-chaos/ebb/versions"
)

// held returns a context that ends when somebody else takes the execution over: from then on,
// whatever is done here is done in his way. Calling the function frees what it holds.
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

// lostTo returns the error that says who took an execution over, nil if nobody did.
func lostTo(x any) error {
	if losable, ok := x.(versions.Losable); ok {
		return losable.LostTo()
	}
	return nil
}

// permitOf is what a session asks before it changes something. Nil: nobody else can have the execution.
func permitOf(x any, undo bool) func(context.Context) (func() error, error) {
	losable, ok := x.(versions.Losable)
	if !ok {
		return nil
	}
	return func(ctx context.Context) (func() error, error) { return losable.Permit(ctx, undo) }
}
