package runner

import (
	"context"
	"fmt"
	"log/slog"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
)

// rehearse calls the functions of a version file before the change that they undo: the callable as
// a plan, and verify as it is. Neither changes anything. So a mistake in the script, or a missing
// right, is found before the chaos begins, and not by the undo. Other errors are ignored, because
// the change was not made yet.
func (r *Runner) rehearse(ctx context.Context, log *slog.Logger, file *versionFile) error {
	for _, rehearsal := range []struct {
		mode builtins.Mode
		name string
		fn   *starlark.Function
	}{
		{builtins.Plan, nameCallable, file.callable},
		{builtins.Verify, nameVerify, file.verify},
	} {
		if rehearsal.fn == nil {
			continue
		}
		s := r.undoSession(rehearsal.mode, file, nil)
		s.Log, s.Quiet = log, true
		err := r.callFile(ctx, s, rehearsal.fn, file.content)
		r.reach(Rehearsal)
		switch kind := KindOf(err); {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case kind == KindScript, kind == KindForbidden, kind == KindWrongCluster, kind.General():
			return fmt.Errorf("the undo would fail, so there is no chaos: rehearsing %s: %w", rehearsal.name, err)
		default:
			log.Debug(fmt.Sprintf("rehearsing %s: %v", rehearsal.name, err))
		}
	}
	return nil
}
