package runner

import (
	"context"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
)

// summaryLimit is how long a script may take to collect its measurements. The undo waits for it.
const summaryLimit = 5 * time.Second

// summarize asks a script for its measurements, before the undo removes the pods that have them. An
// error does not fail the scenario.
func (x *scenarioRun) summarize(ctx context.Context, contents []starlark.Value) {
	fn := x.scenario.script.summary
	if fn == nil || len(contents) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, summaryLimit)
	defer cancel()
	list := starlark.NewList(append([]starlark.Value(nil), contents...))
	list.Freeze()
	s := x.session(nil)
	s.Mode, s.Recorder, s.Mark = builtins.Verify, nil, nil
	v, err := x.runner.call(ctx, s, fn, []starlark.Value{x.config, list}[:fn.NumParams()]...)
	var summary []byte
	if err == nil && v != starlark.None {
		summary, err = builtins.JSON(v)
	}
	switch {
	case err != nil:
		x.log.Debug(fmt.Sprintf("no summary: %v", err))
	case summary != nil:
		x.summaries = append(x.summaries, summary)
	}
}
