package builtins

import (
	"fmt"

	"go.starlark.net/starlark"
)

// ConflictError is an undo that found something which somebody else changed
// meanwhile: it was left alone, and a person has to look.
type ConflictError struct{ Message string }

func (e *ConflictError) Error() string { return e.Message }

// Catch lets attempt catch the error.
func (e *ConflictError) Catch() (reason string, code int) { return "Conflict", 0 }

func setRollbackCallable(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var r Rollback
	var undoes starlark.Iterable
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "callable", &r.Callable, "content", &r.Content, "verify", &r.Verify, "undoes", &undoes); err != nil {
		return nil, err
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if s.Mode != Run {
		return nil, fmt.Errorf("%s: can't be called %s: only run changes things that need an undo", b.Name(), s.Mode)
	}
	if !IsContent(r.Content) {
		return nil, fmt.Errorf("%s: for parameter content: got %s, want RollbackContent(…)", b.Name(), r.Content.Type())
	}
	for name, fn := range map[string]*starlark.Function{"callable": r.Callable, "verify": r.Verify} {
		if fn.NumParams() != 1 || fn.HasVarargs() || fn.HasKwargs() {
			return nil, fmt.Errorf("%s: for parameter %s: %s takes %d parameters, want exactly one, rollback_content", b.Name(), name, fn.Name(), fn.NumParams())
		}
	}
	if r.Undoes, err = unpackRefs(b.Name(), "undoes", undoes); err != nil {
		return nil, err
	}
	if len(r.Undoes) == 0 {
		return nil, fmt.Errorf("%s: undoes is empty: name each thing that the step changes with ref(kind, name, namespace)", b.Name())
	}
	if err := s.Recorder.Record(ctx, r); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	s.cover(r.Undoes)
	return starlark.None, nil
}

func undo(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if s.Mode != Run {
		return nil, fmt.Errorf("%s: can't be called %s", b.Name(), s.Mode)
	}
	// Whatever comes of it, no ref is covered any more: its file may be gone.
	s.uncover()
	if err := s.Recorder.Undo(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.None, nil
}

func unsettled(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "ref", &v); err != nil {
		return nil, err
	}
	r, ok := v.(Ref)
	if !ok {
		return nil, fmt.Errorf("%s: for parameter ref: got %s, want ref(kind, name, namespace)", b.Name(), v.Type())
	}
	_, s, err := session(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.Bool(s.inDoubt(r)), nil
}

func alreadyRestored(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var message string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "message", &message); err != nil {
		return nil, err
	}
	_, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	s.mu.Lock()
	s.notes = append(s.notes, message)
	s.mu.Unlock()
	if s.Mode != Plan {
		s.Log.Info(message)
	}
	return starlark.None, nil
}

func conflict(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var message string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "message", &message); err != nil {
		return nil, err
	}
	return nil, &ConflictError{message}
}
