package engine

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// Catchable is implemented by errors of the host that a script may catch with attempt: what the world answered,
// not what the script got wrong.
type Catchable interface {
	error
	// Catch returns a word to compare with, such as "NotFound", and a status code or 0.
	Catch() (reason string, code int)
}

// A FailError is what fail raises.
type FailError struct{ Msg string }

func (f *FailError) Error() string { return f.Msg }

// Catch makes a FailError Catchable.
func (f *FailError) Catch() (string, int) { return "Fail", 0 }

// fail implements fail(*args, sep = " "): it ends the call with the arguments, joined, as the message.
func fail(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	sep := " "
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs, "sep?", &sep); err != nil {
		return nil, err
	}
	words := make([]string, len(args))
	for i, arg := range args {
		if s, ok := starlark.AsString(arg); ok {
			words[i] = s
		} else {
			words[i] = arg.String()
		}
	}
	return nil, &FailError{Msg: strings.Join(words, sep)}
}

// attempt implements attempt(fn, *args, **kwargs).
//
// It must be a builtin: the interpreter's recursion check compares function code, so that a helper written in
// Starlark could not be on the stack twice.
func attempt(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("%s: missing argument for fn: write %[1]s(function, arguments…)", b.Name())
	}
	fn, ok := args[0].(starlark.Callable)
	if !ok {
		return nil, fmt.Errorf("%s: for parameter fn: got %s, want a function: write %[1]s(function, arguments…), which calls it", b.Name(), args[0].Type())
	}
	value, err := starlark.Call(t, fn, args[1:], kwargs)
	if err == nil {
		return outcome(true, value, starlark.None), nil
	}
	var caught Catchable
	c := callOf(t)
	// A script that goes on after its time was up would make changes nobody waits for any more.
	if c == nil || c.stopped() || !errors.As(err, &caught) {
		return nil, err
	}
	reason, code := caught.Catch()
	explained := c.engine.explain(c, err)
	pos := ""
	if explained.Pos.IsValid() {
		pos = explained.Pos.String()
	}
	if c.engine.caught != nil {
		c.engine.caught(c.ctx, explained)
	}
	return outcome(false, starlark.None, starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
		"reason":  starlark.String(reason),
		"code":    starlark.MakeInt(code),
		"message": starlark.String(explained.Msg),
		"pos":     starlark.String(pos),
	})), nil
}

func outcome(ok bool, value, err starlark.Value) starlark.Value {
	return starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
		"ok": starlark.Bool(ok), "value": value, "error": err,
	})
}
