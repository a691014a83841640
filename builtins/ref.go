package builtins

import (
	"fmt"
	"strconv"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Ref names one thing that a step changes. Kind is a Kubernetes kind ("Pod"), or
// a cloud's word for what is not in the cluster. Namespace is empty for what has
// none. Refs are equal when all three are.
type Ref struct{ Kind, Name, Namespace string }

var (
	_ starlark.Comparable = Ref{}
	_ starlark.HasAttrs   = Ref{}
)

// Literal returns the expression that makes r again.
func (r Ref) Literal() string {
	if r.Namespace == "" {
		return fmt.Sprintf("ref(%s, %s)", syntax.Quote(r.Kind, false), syntax.Quote(r.Name, false))
	}
	return fmt.Sprintf("ref(%s, %s, %s)", syntax.Quote(r.Kind, false), syntax.Quote(r.Name, false), syntax.Quote(r.Namespace, false))
}

// Text is r for a reader: Pod "x" in namespace "y".
func (r Ref) Text() string {
	if r.Namespace == "" {
		return r.Kind + " " + strconv.Quote(r.Name)
	}
	return r.Kind + " " + strconv.Quote(r.Name) + " in namespace " + strconv.Quote(r.Namespace)
}

func (r Ref) String() string        { return r.Literal() }
func (Ref) Type() string            { return "ref" }
func (Ref) Freeze()                 {}
func (Ref) Truth() starlark.Bool    { return true }
func (Ref) AttrNames() []string     { return []string{"kind", "name", "namespace"} }
func (r Ref) Hash() (uint32, error) { return starlark.String(r.Literal()).Hash() }

// Attr implements starlark.HasAttrs.
func (r Ref) Attr(name string) (starlark.Value, error) {
	switch name {
	case "kind":
		return starlark.String(r.Kind), nil
	case "name":
		return starlark.String(r.Name), nil
	case "namespace":
		return starlark.String(r.Namespace), nil
	}
	return nil, nil
}

// CompareSameType implements starlark.Comparable.
func (r Ref) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	switch op {
	case syntax.EQL:
		return r == y.(Ref), nil
	case syntax.NEQ:
		return r != y.(Ref), nil
	}
	return false, fmt.Errorf("refs have no order: %s %s %s", r, op, y)
}

func makeRef(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var r Ref
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "kind", &r.Kind, "name", &r.Name, "namespace?", &r.Namespace); err != nil {
		return nil, err
	}
	if r.Kind == "" || r.Name == "" {
		return nil, fmt.Errorf("%s: kind and name must not be empty, got %s", b.Name(), r.Literal())
	}
	return r, nil
}

// unpackRefs reads a list of refs.
func unpackRefs(fn, param string, v starlark.Iterable) ([]Ref, error) {
	if v == nil {
		return nil, nil
	}
	var refs []Ref
	it := v.Iterate()
	defer it.Done()
	var x starlark.Value
	for i := 0; it.Next(&x); i++ {
		r, ok := x.(Ref)
		if !ok {
			return nil, fmt.Errorf("%s: for parameter %s: element %d is a %s, want ref(kind, name, namespace)", fn, param, i, x.Type())
		}
		refs = append(refs, r)
	}
	return refs, nil
}
