package engine

import (
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// Catchable is an error of the host that a script may catch with attempt. The API server or a cloud
// has answered with an error; the script has made no mistake.
type Catchable interface {
	error
	// Catch returns a word to compare with, such as "NotFound", and a status code or 0.
	Catch() (reason string, code int)
}

// A FailError is what fail raises.
type FailError struct {
	Msg string
	// Causes are the errors among fail's arguments, in their order: what attempt had caught.
	Causes []error
}

func (f *FailError) Error() string { return f.Msg }

// Unwrap returns the causes, so that errors.As finds the error of a builtin that a script has
// raised again with a message of its own.
func (f *FailError) Unwrap() []error { return f.Causes }

// Catch makes a FailError Catchable. Raised again, an error keeps its reason and code.
func (f *FailError) Catch() (string, int) {
	var cause Catchable
	if len(f.Causes) == 1 && errors.As(f.Causes[0], &cause) {
		return cause.Catch()
	}
	return "Fail", 0
}

// fail implements fail(*args, sep = " "). It ends the call. The message is the arguments, joined.
// If an argument is the error of an attempt, the message has its text, and the error becomes a
// cause.
func fail(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	sep := " "
	if err := starlark.UnpackArgs(b.Name(), nil, kwargs, "sep?", &sep); err != nil {
		return nil, err
	}
	failure := &FailError{}
	words := make([]string, len(args))
	for i, arg := range args {
		if caught, ok := arg.(caughtError); ok {
			failure.Causes = append(failure.Causes, caught.err)
		}
		if s, ok := starlark.AsString(arg); ok {
			words[i] = s
		} else {
			words[i] = arg.String()
		}
	}
	failure.Msg = strings.Join(words, sep)
	return nil, failure
}

// attempt implements attempt(fn, *args, **kwargs).
//
// It must be a builtin: the interpreter's recursion check compares function code, so that a helper
// written in Starlark could not be on the stack twice.
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
	// No more changes after the end of the time: nobody waits for them.
	if c == nil || c.stopped() || !errors.As(err, &caught) {
		return nil, err
	}
	explained := c.engine.explain(c, err)
	if c.engine.caught != nil {
		c.engine.caught(c.ctx, explained)
	}
	return outcome(false, starlark.None, caughtError{explained}), nil
}

func outcome(ok bool, value, err starlark.Value) starlark.Value {
	return starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
		"ok": starlark.Bool(ok), "value": value, "error": err,
	})
}
