package engine_test

import (
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// constructor is a host's constructor of structs.
type constructor struct {
	*starlark.Builtin
}

func newConstructor(name string) *constructor {
	c := new(constructor)
	c.Builtin = starlark.NewBuiltin(name, func(_ *starlark.Thread, _ *starlark.Builtin, _ starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		return starlarkstruct.FromKeywords(c, kwargs), nil
	})
	return c
}

func (*constructor) FieldOrder() []string { return []string{"absent", "pods"} }

// reference is a host's value that prints itself.
type reference struct {
	starlark.Value
	args string
}

func (r reference) Literal() string { return "ref(" + r.args + ")" }

func predeclared() starlark.StringDict {
	return starlark.StringDict{
		"RollbackContent": newConstructor("RollbackContent"),
		"ref": starlark.NewBuiltin("ref", func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
			text := ""
			for i, arg := range args {
				if i > 0 {
					text += ", "
				}
				text += arg.String()
			}
			return reference{starlark.None, text}, nil
		}),
		"foreign": starlarkstruct.FromStringDict(newConstructor("Foreign"), starlark.StringDict{"a": starlark.None}),
	}
}
