package builtins

import (
	"context"
	"log/slog"

	"go.starlark.net/starlark"
)

var logFunctions = []*function{
	logAt("log.debug", slog.LevelDebug),
	logAt("log.info", slog.LevelInfo),
	logAt("log.warning", slog.LevelWarn),
	logAt("log.error", slog.LevelError),
}

type logArgs struct {
	Message starlark.Value `star:"message"`
}

func logAt(name string, at slog.Level) *function {
	return builtin(name, InSession, logArgs{}, func(c *call, a *logArgs) (starlark.Value, error) {
		text, ok := starlark.AsString(a.Message)
		if !ok {
			text = a.Message.String()
		}
		c.Log.Log(context.WithoutCancel(c.ctx), c.level(at), text)
		return starlark.None, nil
	})
}
