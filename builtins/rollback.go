package builtins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"go.starlark.net/starlark"
)

// ConflictError means that an undo found an object that somebody else has changed since. The object
// was left alone, and a person has to look at it.
type ConflictError struct {
	Message string

	// Forcible means that the undo can continue with [Session.TakeOver].
	Forcible bool
}

func (e *ConflictError) Error() string { return e.Message }

// Catch lets attempt catch the error.
func (e *ConflictError) Catch() (reason string, code int) { return "Conflict", 0 }

// OverlapError means that another run has changed the object, and that this is not undone yet. That
// run may use another store: its change was found in the cluster or the cloud.
type OverlapError struct{ Message, RunUUID string }

func (e *OverlapError) Error() string { return e.Message }

// Catch lets attempt catch the error.
func (e *OverlapError) Catch() (reason string, code int) { return "Overlap", 0 }

var rollbackFunctions = []*function{
	rollbackContent.function,
	rollbackVersion.function,
	builtin("ref", Pure, refArgs{}, makeRef),
	builtin("set_rollback_callable", Read, rollbackArgs{}, setRollbackCallable),
	builtin("undo", Read, struct{}{}, undo),
	builtin("unsettled", InSession, unsettledArgs{}, unsettled),
	builtin("already_restored", Read, messageArgs{}, alreadyRestored),
	builtin("not_observed", Read, messageArgs{}, notObserved),
	builtin("conflict", Read, conflictArgs{}, conflict),
	builtin("overlap", Read, overlapArgs{}, overlap),
}

type rollbackArgs struct {
	Callable *starlark.Function `star:"callable"`
	Content  starlark.Value     `star:"content"`
	Verify   *starlark.Function `star:"verify"`
	Undoes   refs               `star:"undoes"`
}

func setRollbackCallable(c *call, a *rollbackArgs) (starlark.Value, error) {
	if c.Mode != Run {
		return nil, fmt.Errorf("can't be called %s: only run changes things that need an undo", c.Mode)
	}
	if !IsContent(a.Content) {
		return nil, fmt.Errorf("for parameter content: got %s, want RollbackContent(…)", a.Content.Type())
	}
	for name, fn := range map[string]*starlark.Function{"callable": a.Callable, "verify": a.Verify} {
		if fn.NumParams() != 1 || fn.HasVarargs() || fn.HasKwargs() {
			return nil, fmt.Errorf("for parameter %s: %s takes %d parameters, want exactly one, rollback_content", name, fn.Name(), fn.NumParams())
		}
	}
	if len(a.Undoes) == 0 {
		return nil, errors.New("undoes is empty: name each thing that the step changes with ref(kind, name, namespace)")
	}
	if err := c.Recorder.Record(c.ctx, Rollback{a.Callable, a.Verify, a.Content, a.Undoes}); err != nil {
		return nil, err
	}
	c.grantChange(a.Undoes)
	return starlark.None, nil
}

func undo(c *call, _ *struct{}) (starlark.Value, error) {
	if c.Mode != Run {
		return nil, fmt.Errorf("can't be called %s", c.Mode)
	}
	// Revoke the grants even after an error: the file may be gone.
	c.revokeChanges()
	return starlark.None, c.Recorder.Undo(c.ctx)
}

type unsettledArgs struct {
	Ref oneRef `star:"ref"`
}

func unsettled(c *call, a *unsettledArgs) (starlark.Value, error) {
	return starlark.Bool(c.answerLost(a.Ref.Ref)), nil
}

type overlapArgs struct {
	Message string `star:"message"`
	RunUUID string `star:"run_uuid"`
}

func overlap(c *call, a *overlapArgs) (starlark.Value, error) {
	if c.Mode != Run {
		return nil, fmt.Errorf("can't be called %s: an undo that finds what it did not expect calls conflict", c.Mode)
	}
	return nil, &plainError{&OverlapError{a.Message, a.RunUUID}}
}

type messageArgs struct {
	Message string `star:"message"`
}

func alreadyRestored(c *call, a *messageArgs) (starlark.Value, error) {
	c.mu.Lock()
	c.notes = append(c.notes, a.Message)
	c.mu.Unlock()
	c.Log.Log(context.WithoutCancel(c.ctx), c.level(slog.LevelInfo), a.Message)
	return starlark.None, nil
}

func notObserved(c *call, a *messageArgs) (starlark.Value, error) {
	if c.Mode != Verify {
		return nil, fmt.Errorf("can't be called %s: only a verify looks", c.Mode)
	}
	c.mu.Lock()
	c.unseen = append(c.unseen, a.Message)
	c.mu.Unlock()
	c.Log.Log(context.WithoutCancel(c.ctx), slog.LevelDebug, "not observed: "+a.Message)
	return starlark.None, nil
}
