package builtins

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.starlark.net/starlark"
)

// Access says what a builtin may touch, and so in which modes it can be called.
type Access int

const (
	// Pure builtins only compute.
	Pure Access = iota
	// InSession builtins need the session, and can be called while a module loads.
	InSession
	// Read builtins ask something outside. Not while a module loads.
	Read
	// Write builtins change something outside. Not in a verify callable either.
	Write
)

func (a Access) String() string { return [...]string{"pure", "session", "read", "write"}[a] }

// A Signature is how a builtin is called.
type Signature struct {
	Name   string // as scripts write it: "k8s.get"
	Access Access
	Params []Param
	Named  bool   // every argument is given by name
	Rest   string // what further names are called, "" where there can be none
}

// A Param is one parameter of a builtin.
type Param struct {
	Name     string
	Type     string // "string", "list of strings", "any", …
	Optional bool
	Default  string // of an optional one, as Starlark writes it
}

// String is the signature as api.star has it. A required parameter behind an optional one
// gets a default there, since a def can't have it otherwise.
func (s Signature) String() string {
	var params []string
	optional := false
	for _, p := range s.Params {
		switch optional = optional || p.Optional; {
		case p.Optional:
			p.Name += " = " + p.Default
		case optional:
			p.Name += " = None"
		}
		params = append(params, p.Name)
	}
	if s.Rest != "" {
		params = append(params, "**"+s.Rest)
	}
	return s.Name + "(" + strings.Join(params, ", ") + ")"
}

// A Call is one call of a builtin that has ended.
type Call struct {
	Name   string
	Access Access // a command that says it only reads is a Read
	Args   []Arg
	Value  starlark.Value // nil with an error
	Err    error
}

// An Arg is one argument of a call.
type Arg struct {
	Name  string // "" for one by position that is too many
	Value starlark.Value
}

// A function is a builtin of the table.
type function struct {
	Signature
	fields  []field
	builtin *starlark.Builtin
	value   starlark.Value // what scripts see under the name; nil for the builtin itself
}

// call is what a function knows of the call that it answers. Without a session, in a
// [Pure] one, ctx is nil too.
type call struct {
	*Session
	ctx    context.Context
	thread *starlark.Thread
	kwargs []starlark.Tuple
}

// builtin makes a function of the table. A is a struct: the tag star of each field is the
// name of a parameter, with ? behind it if it is optional, and ?? if None means the
// default too; its value in defaults is the default. The order is that of positional
// arguments.
//
// run gets the arguments unpacked and the session checked. Its errors get the
// function's name in front, so it does not name itself; nil for a value is None.
func builtin[A any](name string, access Access, defaults A, run func(*call, *A) (starlark.Value, error)) *function {
	f := &function{fields: fieldsOf(reflect.TypeFor[A]())}
	f.Signature = signature(name, access, f.fields, reflect.ValueOf(defaults))
	f.builtin = starlark.NewBuiltin(name, func(t *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		a := defaults
		c := &call{thread: t, kwargs: kwargs}
		return f.answer(c, &a, args, func() (starlark.Value, error) { return run(c, &a) })
	})
	return f
}

// accessor is implemented by arguments that say more exactly what their call may touch.
type accessor interface{ access() Access }

// answer is the way of every call: unpack, find the session, check the mode, run, report.
func (f *function) answer(c *call, a any, args starlark.Tuple, run func() (starlark.Value, error)) (starlark.Value, error) {
	access := f.Access
	v, err := func() (starlark.Value, error) {
		if err := f.unpack(a, args, c.kwargs); err != nil {
			return nil, err
		}
		if x, ok := a.(accessor); ok {
			access = x.access()
		}
		err := c.open(access)
		var v starlark.Value
		if err == nil {
			v, err = run()
		}
		var own *plainError
		switch {
		case errors.As(err, &own):
			return nil, own.error
		case err != nil:
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		case v == nil:
			return starlark.None, nil
		}
		return v, nil
	}()
	if s := sessionOf(c.thread); s != nil && s.Observe != nil {
		s.Observe(Call{Name: f.Name, Access: access, Args: f.args(args, c.kwargs), Value: v, Err: err})
	}
	return v, err
}

// open finds the session of a call and checks that its mode allows the access.
func (c *call) open(access Access) error {
	if access == Pure {
		return nil
	}
	var err error
	if c.ctx, c.Session, err = session(c.thread); err != nil {
		return err
	}
	switch {
	case access >= Read && c.Mode == Init:
		return errors.New("can't be called while the module loads: call it from run or from a callable")
	case access == Write && c.Mode == Verify:
		return errors.New("can't be called in a verify callable: it only reads")
	}
	return nil
}

// plainError is an error that gets no name of a builtin in front.
type plainError struct{ error }

// callback calls a function of the script. Its error is the script's, and its position
// says more than the builtin's.
func (c *call) callback(fn starlark.Callable, args ...starlark.Value) (starlark.Value, error) {
	v, err := starlark.Call(c.thread, fn, args, nil)
	if err != nil {
		return nil, &plainError{err}
	}
	return v, nil
}

// args names the arguments of a call.
func (f *function) args(args starlark.Tuple, kwargs []starlark.Tuple) []Arg {
	all := make([]Arg, 0, len(args)+len(kwargs))
	for i, v := range args {
		a := Arg{Value: v}
		if i < len(f.Params) {
			a.Name = f.Params[i].Name
		}
		all = append(all, a)
	}
	for _, kv := range kwargs {
		all = append(all, Arg{string(kv[0].(starlark.String)), kv[1]})
	}
	return all
}
