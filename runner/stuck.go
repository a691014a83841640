package runner

import (
	"context"
	"time"
)

// stuckAfter is how long code may go on after its time is over. What is under way on
// the network ends at once; what is left are steps of the interpreter that take their time.
// Together with the grace after a signal it has to stay below the 30 s that a pod has.
const stuckAfter = 3 * time.Second

// notStuck watches one call into the interpreter, until over is called.
func (r *Runner) notStuck(ctx context.Context, where string) (over func()) {
	if r.Stuck == nil {
		return func() {}
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(stuckAfter)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
			r.Stuck(where)
		}
	})
	return func() {
		stop()
		close(ended)
	}
}
