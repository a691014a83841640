package builtins

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.starlark.net/starlark"
)

// Access says what a builtin may do, and so in which modes it may be called.
type Access int

const (
	// Pure builtins only compute.
	Pure Access = iota
	// InSession builtins use the session, and may be called while a module loads.
	InSession
	// Read builtins read from the cluster or a cloud. They may not be called while a module loads.
	Read
	// Write builtins change the cluster or a cloud. They may not be called in a verify callable,
	// either.
	Write
)

func (a Access) String() string { return [...]string{"pure", "session", "read", "write"}[a] }

// A Signature has the parameters of a builtin.
type Signature struct {
	Name   string // as scripts write it: "k8s.get"
	Access Access
	Params []Param
	Named  bool   // all arguments must be given by name
	Rest   string // name of the parameter for further arguments by name; "" if there is none
}

// A Param is one parameter of a builtin.
type Param struct {
	Name     string
	Type     string // "string", "list of strings", "any", …
	Optional bool
	Default  string // of an optional parameter, in Starlark
}

// String returns the signature as api.star has it. A required parameter after an optional one gets
// a default there, because def requires one.
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
	Access Access // Read for a command that is declared to only read
	Args   []Arg
	Value  starlark.Value // nil with an error
	Err    error
}

// An Arg is one argument of a call.
type Arg struct {
	Name  string // "" for an extra argument by position
	Value starlark.Value
}

// A function is a builtin of the table.
type function struct {
	Signature
	fields  []field
	builtin *starlark.Builtin
	value   starlark.Value // the value of the name in scripts; nil for the builtin itself
}

// call has the context and the session of a call. In a [Pure] function both may be nil.
type call struct {
	*Session
	ctx    context.Context
	thread *starlark.Thread
	kwargs []starlark.Tuple
}

// builtin makes a function of the table. A is a struct. The tag star of each field is the name of a
// parameter, followed by ? if it is optional, and by ?? if None also means the default. The field
// of the same name in defaults has the default. The order of the fields is that of positional
// arguments.
//
// run is called with the unpacked arguments, after the check of the session. The name of the
// function is put in front of its errors, so run must not add it. A nil value becomes None.
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

// accessor is implemented by arguments that decide which access a call needs.
type accessor interface{ access() Access }

// answer handles every call: unpack the arguments, find the session, check the mode, run, report.
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

// open returns the session of a call, and checks that its mode allows the access.
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

// plainError is an error that does not get the name of a builtin.
type plainError struct{ error }

// callback calls a function of the script. Its error is returned as it is: the position in the
// script says more than that of the builtin.
func (c *call) callback(fn starlark.Callable, args ...starlark.Value) (starlark.Value, error) {
	v, err := starlark.Call(c.thread, fn, args, nil)
	if err != nil {
		return nil, &plainError{err}
	}
	return v, nil
}

// args returns the arguments of a call with their names.
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
