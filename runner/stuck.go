package runner

import (
	"context"
	"time"
)

// notStuck watches one call into the interpreter, until over is called. Network requests end with
// the time of the call. Some steps of the interpreter can't be interrupted.
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
