package builtins

import (
	"time"

	starlarktime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/patience"
)

var timeFunctions = []*function{
	builtin("time.now", Pure, struct{}{}, timeNow),
	builtin("time.parse_duration", Pure, parseDurationArgs{}, timeParseDuration),
	builtin("time.sleep", Read, sleepArgs{Message: "waiting"}, timeSleep),
}

func timeNow(*call, *struct{}) (starlark.Value, error) {
	return starlarktime.Time(time.Now()), nil
}

type parseDurationArgs struct {
	D duration `star:"d"`
}

// duration is a duration, or a string such as "1h30m".
type duration struct{ starlarktime.Duration }

func (duration) typeName() string { return "string" }

func timeParseDuration(_ *call, a *parseDurationArgs) (starlark.Value, error) {
	return a.D.Duration, nil
}

type sleepArgs struct {
	Seconds seconds `star:"seconds"`
	Message string  `star:"message?"`
}

func timeSleep(c *call, a *sleepArgs) (starlark.Value, error) {
	if c.Mode == Plan {
		return starlark.None, nil
	}
	c.voidAbsences() // what was seen before is of another time
	d := time.Duration(a.Seconds)
	done := c.progress(d, a.Message)
	defer done()
	return starlark.None, patience.Sleep(c.ctx, d)
}
