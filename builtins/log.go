package builtins

import (
	"context"
	"fmt"
	"log/slog"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

var logModule = &starlarkstruct.Module{Name: "log", Members: starlark.StringDict{
	"debug":   logAt("debug", slog.LevelDebug),
	"info":    logAt("info", slog.LevelInfo),
	"warning": logAt("warning", slog.LevelWarn),
	"error":   logAt("error", slog.LevelError),
}}

func logAt(name string, at slog.Level) *starlark.Builtin {
	return starlark.NewBuiltin("log."+name, func(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var message starlark.Value
		if err := starlark.UnpackArgs(b.Name(), args, kwargs, "message", &message); err != nil {
			return nil, err
		}
		level := at
		ctx, s, err := session(t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
		text, ok := starlark.AsString(message)
		if !ok {
			text = message.String()
		}
		// A dry run does not do what its callable says it does.
		if s.Mode == Plan {
			level = slog.LevelDebug
		}
		s.Log.Log(context.WithoutCancel(ctx), level, text)
		return starlark.None, nil
	})
}
