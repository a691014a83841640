package builtins

import (
	"context"
	"fmt"
	"log/slog"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// takeOver returns a conflict. If the undo may continue all the same, it logs that instead.
func (s *Session) takeOver(ctx context.Context, found, leftAlone string) error {
	if s.TakeOver {
		s.Log.Log(context.WithoutCancel(ctx), s.level(slog.LevelWarn), "taken over: "+found)
		return nil
	}
	s.forcible.Store(true)
	return &ConflictError{Message: leftAlone, Forcible: true}
}

// expected returns the resource version that an object must still have. ok is false if any version
// will do, as after the first change of this call.
func (s *Session) expected(r Ref) (version string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version, ok = s.Expected[r.Text()]
	return version, ok && !s.touched[r] && s.Mode == Undo
}

// asShown returns an error if an object differs from what a person was shown.
func (s *Session) asShown(r Ref, obj kube.Object) error {
	want, ok := s.expected(r)
	if got := resourceVersionOf(obj); ok && got != want {
		return &ConflictError{Message: fmt.Sprintf("%s was changed after it was shown, and was left alone: its resource version is %q, not %q", r.Text(), got, want)}
	}
	return nil
}

func resourceVersionOf(obj kube.Object) string { return text(obj, "metadata", "resourceVersion") }

type conflictArgs struct {
	Message  string `star:"message"`
	Forcible bool   `star:"forcible?"`
}

// conflict ends the call. A script may catch a conflict and raise it again: with
// [Session.TakeOver], it would not have been raised in the first place.
func conflict(c *call, a *conflictArgs) (starlark.Value, error) {
	switch {
	case a.Forcible:
		if err := c.takeOver(c.ctx, a.Message, a.Message); err != nil {
			return nil, &plainError{err}
		}
		return starlark.True, nil
	case c.TakeOver:
		return nil, &plainError{&ConflictError{Message: a.Message + "; this can't be taken over: restore it by hand, or edit the file"}}
	}
	return nil, &plainError{&ConflictError{Message: a.Message, Forcible: c.forcible.Load()}}
}
