package builtins

import (
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/patience"
)

type recoveryArgs struct {
	Until   starlark.Callable `star:"until"`
	Seconds seconds           `star:"seconds"`
	Message string            `star:"message?"`
}

var recoveryFunctions = []*function{
	builtin("await_recovery", Read, recoveryArgs{Message: "waiting for the recovery"}, awaitRecovery),
}

// awaitRecovery waits for a recovery that nobody can force. The script limits the wait. It does not
// count towards the time limit of the file.
func awaitRecovery(c *call, a *recoveryArgs) (starlark.Value, error) {
	limit := time.Duration(a.Seconds)
	if c.Mode == Plan {
		return starlark.True, nil // nothing was changed, so nothing has to recover
	}
	defer c.waiting()()
	defer c.progress(limit, a.Message)()
	deadline := time.Now().Add(limit)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		over, err := c.callback(a.Until)
		if err != nil {
			return nil, err
		}
		left := time.Until(deadline)
		if bool(over.Truth()) || left <= 0 {
			return over.Truth(), nil
		}
		if err := patience.Sleep(c.ctx, min(pause, left)); err != nil {
			return nil, err
		}
	}
}
