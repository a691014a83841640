package builtins

import (
	"fmt"

	"go.starlark.net/starlark"
)

// IrreversibleError means that a script was refused a step that can't be undone. A script can't
// catch it.
type IrreversibleError struct{ What string }

func (e *IrreversibleError) Error() string {
	return fmt.Sprintf("%s can't be undone, and that is not allowed here", e.What)
}

type irreversibleArgs struct {
	What string `star:"what"`
}

var irreversibleFunctions = []*function{
	builtin("irreversible", InSession, irreversibleArgs{}, irreversible),
}

func irreversible(c *call, a *irreversibleArgs) (starlark.Value, error) {
	return starlark.None, c.mayBeFinal(a.What)
}

// mayBeFinal refuses a step that can't be undone, unless the owner of the session allows it. An
// undo never takes such a step.
func (s *Session) mayBeFinal(what string) error {
	if s.AllowIrreversible {
		return nil
	}
	return &IrreversibleError{what}
}
