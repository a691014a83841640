package builtins

import (
	"fmt"

	"go.starlark.net/starlark"
)

// IrreversibleError means that a script wants to do what can't be undone, and may not. No script can
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

// mayBeFinal refuses what can't be undone unless the owner of the session allows it. No undo does
// such a thing.
func (s *Session) mayBeFinal(what string) error {
	if s.AllowIrreversible {
		return nil
	}
	return &IrreversibleError{what}
}
