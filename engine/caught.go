package engine

import (
	"errors"
	"fmt"

	"go.starlark.net/starlark"
)

// A caughtError is the error that attempt returns to a script. It keeps the Go error, which becomes
// a cause if the script raises it again with fail.
type caughtError struct{ err *Error }

var _ starlark.HasAttrs = caughtError{}

// String returns the message, so that a script can put an error into a text.
func (c caughtError) String() string { return c.err.Msg }

// Type implements starlark.Value.
func (caughtError) Type() string { return "error" }

// Freeze implements starlark.Value.
func (caughtError) Freeze() {}

// Truth implements starlark.Value.
func (caughtError) Truth() starlark.Bool { return starlark.True }

// Hash implements starlark.Value.
func (c caughtError) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: %s", c.Type()) }

// AttrNames implements starlark.HasAttrs.
func (caughtError) AttrNames() []string { return []string{"code", "message", "pos", "reason"} }

// Attr implements starlark.HasAttrs.
func (c caughtError) Attr(name string) (starlark.Value, error) {
	reason, code := "", 0
	var caught Catchable
	if errors.As(c.err, &caught) {
		reason, code = caught.Catch()
	}
	switch name {
	case "code":
		return starlark.MakeInt(code), nil
	case "message":
		return starlark.String(c.err.Msg), nil
	case "pos":
		if !c.err.Pos.IsValid() {
			return starlark.String(""), nil
		}
		return starlark.String(c.err.Pos.String()), nil
	case "reason":
		return starlark.String(reason), nil
	}
	return nil, nil
}
