package builtins

import (
	"fmt"
	"strconv"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Ref names one thing that a step changes. Kind is a Kubernetes kind ("Pod") or, for a thing in a
// cloud, a name with a dot ("aws.Instance"). Namespace is empty if the thing has none. Refs are
// equal if all three fields are.
type Ref struct{ Kind, Name, Namespace string }

var (
	_ starlark.Comparable = Ref{}
	_ starlark.HasAttrs   = Ref{}
)

// Literal returns the Starlark expression that makes r.
func (r Ref) Literal() string {
	if r.Namespace == "" {
		return fmt.Sprintf("ref(%s, %s)", syntax.Quote(r.Kind, false), syntax.Quote(r.Name, false))
	}
	return fmt.Sprintf("ref(%s, %s, %s)", syntax.Quote(r.Kind, false), syntax.Quote(r.Name, false), syntax.Quote(r.Namespace, false))
}

// Text returns r for people: Pod "x" in namespace "y".
func (r Ref) Text() string {
	if r.Namespace == "" {
		return r.Kind + " " + strconv.Quote(r.Name)
	}
	return r.Kind + " " + strconv.Quote(r.Name) + " in namespace " + strconv.Quote(r.Namespace)
}

// Short returns r for a table: Pod shop/a.
func (r Ref) Short() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
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

type refArgs struct {
	Kind      string `star:"kind"`
	Name      string `star:"name"`
	Namespace string `star:"namespace?"`
}

func makeRef(_ *call, a *refArgs) (starlark.Value, error) {
	r := Ref(*a)
	if r.Kind == "" || r.Name == "" {
		return nil, fmt.Errorf("kind and name must not be empty, got %s", r.Literal())
	}
	return r, nil
}

// refs is a list of refs.
type refs []Ref

// Unpack implements starlark.Unpacker.
func (r *refs) Unpack(v starlark.Value) (err error) {
	*r, err = unpackList(v, func(i int, x starlark.Value) (Ref, error) {
		ref, ok := x.(Ref)
		if !ok {
			return Ref{}, fmt.Errorf("element %d is a %s, want ref(kind, name, namespace)", i, x.Type())
		}
		return ref, nil
	})
	return err
}

func (refs) typeName() string { return "list of ref" }
func (refs) literal() string  { return "[]" }

// oneRef is a ref.
type oneRef struct{ Ref }

// Unpack implements starlark.Unpacker.
func (r *oneRef) Unpack(v starlark.Value) error {
	ref, ok := v.(Ref)
	if !ok {
		return fmt.Errorf("got %s, want ref(kind, name, namespace)", v.Type())
	}
	r.Ref = ref
	return nil
}

func (oneRef) typeName() string { return "ref" }
