package builtins

import (
	"fmt"
	"math"
	"time"

	starlarktime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

var timeModule = &starlarkstruct.Module{Name: "time", Members: starlark.StringDict{
	"now":            starlarktime.Module.Members["now"],
	"parse_duration": starlarktime.Module.Members["parse_duration"],
	"sleep":          starlark.NewBuiltin("time.sleep", timeSleep),
}}

func timeSleep(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var seconds starlark.Value
	message := "waiting"
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "seconds", &seconds, "message?", &message); err != nil {
		return nil, err
	}
	d, err := toDuration(seconds)
	if err != nil {
		return nil, fmt.Errorf("%s: for parameter seconds: %w", b.Name(), err)
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if s.Mode == Plan {
		return starlark.None, nil
	}
	done := s.progress(d, message)
	defer done()
	if err := sleep(ctx, d); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.None, nil
}

// toDuration reads a number of seconds, or a duration of the time module.
func toDuration(v starlark.Value) (time.Duration, error) {
	if d, ok := v.(starlarktime.Duration); ok {
		if d < 0 {
			return 0, fmt.Errorf("got %s, want at least 0", time.Duration(d))
		}
		return time.Duration(d), nil
	}
	f, ok := starlark.AsFloat(v)
	switch {
	case !ok:
		return 0, fmt.Errorf("got %s, want a number of seconds", v.Type())
	case math.IsNaN(f) || f < 0 || f > float64(math.MaxInt64/int64(time.Second)):
		return 0, fmt.Errorf("got %s seconds, want 0 or more, and less than 292 years", v)
	}
	return time.Duration(f * float64(time.Second)), nil
}
