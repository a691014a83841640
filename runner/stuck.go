package runner

import (
	"context"
	"time"
)

// notStuck watches one call into the interpreter, until over is called. What is under way on
// the network ends as soon as the call's time does; what is left are steps of the interpreter
// that are not interrupted.
func (r *Runner) notStuck(ctx context.Context, where string) (over func()) {
	hooks := r.options.Hooks
	if hooks.Stuck == nil {
		return func() {}
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(hooks.StuckAfter)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
			hooks.Stuck(where)
		}
	})
	return func() {
		stop()
		close(ended)
	}
}
