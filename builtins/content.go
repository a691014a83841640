package builtins

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// record is the constructor of a named struct. RollbackContent(…) makes a struct that is printed as
// RollbackContent(…), so that a file can read what another has written.
type record struct {
	*starlark.Builtin
	function *function
	order    []string
}

// FieldOrder returns the fields that are written first, in this order, because people look for them
// first. The others follow, sorted by name.
func (r *record) FieldOrder() []string { return r.order }

// String returns only the name: a struct is printed as its constructor and then its fields.
func (r *record) String() string { return r.Name() }

// newRecord returns the builtin that constructs such structs. Only given arguments become fields.
func newRecord[A any](name string, order []string, check func(*A) error) *record {
	r := &record{order: order}
	r.function = builtin(name, Pure, *new(A), func(c *call, a *A) (starlark.Value, error) {
		if err := check(a); err != nil {
			return nil, err
		}
		return starlarkstruct.FromKeywords(r, c.kwargs), nil
	})
	r.Builtin, r.function.value = r.function.builtin, r
	r.function.Named = true
	return r
}

type contentArgs struct {
	Fields []starlark.Tuple `star:"**fields"`
}

type versionArgs struct {
	Format       int    `star:"format"`
	ScenarioType string `star:"scenario_type?"`
	Scenario     string `star:"scenario?"`
	RunUUID      string `star:"run_uuid?"`
	ClusterUID   string `star:"cluster_uid?"`
	Created      string `star:"created?"`
	Undoes       refs   `star:"undoes?"`
}

func (a *versionArgs) check() error {
	if a.Format != 1 {
		return fmt.Errorf("format is %d, this ebb reads format 1", a.Format)
	}
	return nil
}

var (
	rollbackContent = newRecord("RollbackContent", []string{"namespace", "resource_identifier"}, func(*contentArgs) error { return nil })
	rollbackVersion = newRecord("RollbackVersion", []string{"format", "scenario_type", "scenario", "run_uuid", "cluster_uid", "created", "undoes"}, (*versionArgs).check)
)

// IsContent reports whether v was made by RollbackContent.
func IsContent(v starlark.Value) bool {
	s, ok := v.(*starlarkstruct.Struct)
	return ok && s.Constructor() == starlark.Value(rollbackContent)
}

// Version is the header of a version file: what it undoes, and for which run. A hand-written file
// may leave out everything but Format.
type Version struct {
	Format       int
	ScenarioType string
	Scenario     string
	RunUUID      string
	ClusterUID   string
	Created      string // RFC 3339, UTC
	Undoes       []Ref
}

// Value returns v as the value that RollbackVersion makes.
func (v Version) Value() starlark.Value {
	refs := make([]starlark.Value, len(v.Undoes))
	for i, r := range v.Undoes {
		refs[i] = r
	}
	kv := func(name string, value starlark.Value) starlark.Tuple {
		return starlark.Tuple{starlark.String(name), value}
	}
	return starlarkstruct.FromKeywords(rollbackVersion, []starlark.Tuple{
		kv("format", starlark.MakeInt(v.Format)),
		kv("scenario_type", starlark.String(v.ScenarioType)),
		kv("scenario", starlark.String(v.Scenario)),
		kv("run_uuid", starlark.String(v.RunUUID)),
		kv("cluster_uid", starlark.String(v.ClusterUID)),
		kv("created", starlark.String(v.Created)),
		kv("undoes", starlark.NewList(refs)),
	})
}

// VersionOf reads a value that RollbackVersion made.
func VersionOf(value starlark.Value) (Version, error) {
	s, ok := value.(*starlarkstruct.Struct)
	if !ok || s.Constructor() != starlark.Value(rollbackVersion) {
		return Version{}, fmt.Errorf("got %s, want RollbackVersion(format = 1, …)", value.Type())
	}
	var kwargs []starlark.Tuple
	for _, name := range s.AttrNames() {
		field, err := s.Attr(name)
		if err != nil {
			return Version{}, err
		}
		kwargs = append(kwargs, starlark.Tuple{starlark.String(name), field})
	}
	var a versionArgs
	if err := rollbackVersion.function.unpack(&a, nil, kwargs); err != nil {
		return Version{}, err
	}
	if err := a.check(); err != nil {
		return Version{}, fmt.Errorf("%s: %w", rollbackVersion.Name(), err)
	}
	return Version{a.Format, a.ScenarioType, a.Scenario, a.RunUUID, a.ClusterUID, a.Created, a.Undoes}, nil
}
