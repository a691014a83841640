package builtins

import (
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// record is the constructor of a named struct: RollbackContent(…) makes a struct
// that prints as RollbackContent(…), so that what is written can be read again.
type record struct {
	*starlark.Builtin
	order []string
}

// FieldOrder returns the fields that are written first, in their order; the others
// follow by name. What a person looks for comes first.
func (r *record) FieldOrder() []string { return r.order }

func newRecord(name string, order []string, check func(kwargs []starlark.Tuple) error) *record {
	r := &record{order: order}
	r.Builtin = starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		if len(args) > 0 {
			return nil, fmt.Errorf("%s: got a positional argument %s, want name = value", b.Name(), args[0])
		}
		if err := check(kwargs); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
		return starlarkstruct.FromKeywords(r, kwargs), nil
	})
	return r
}

var (
	rollbackContent = newRecord("RollbackContent", []string{"namespace", "resource_identifier"}, func([]starlark.Tuple) error { return nil })
	rollbackVersion = newRecord("RollbackVersion", []string{"format", "scenario_type", "scenario", "run_uuid", "cluster_uid", "created", "undoes"}, checkVersion)
)

// IsContent reports whether v was made by RollbackContent.
func IsContent(v starlark.Value) bool {
	s, ok := v.(*starlarkstruct.Struct)
	return ok && s.Constructor() == starlark.Value(rollbackContent)
}

// Version is the head of a version file: what it undoes, and for whom. All but
// Format may be missing from a hand-written file.
type Version struct {
	Format       int
	ScenarioType string
	Scenario     string
	RunUUID      string
	ClusterUID   string
	Created      string // RFC 3339, UTC
	Undoes       []Ref
}

// Value returns v as RollbackVersion makes it.
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
	return unpackVersion(kwargs)
}

func checkVersion(kwargs []starlark.Tuple) error {
	_, err := unpackVersion(kwargs)
	return err
}

func unpackVersion(kwargs []starlark.Tuple) (Version, error) {
	var v Version
	var undoes starlark.Iterable
	err := starlark.UnpackArgs("RollbackVersion", nil, kwargs,
		"format", &v.Format,
		"scenario_type?", &v.ScenarioType,
		"scenario?", &v.Scenario,
		"run_uuid?", &v.RunUUID,
		"cluster_uid?", &v.ClusterUID,
		"created?", &v.Created,
		"undoes?", &undoes,
	)
	if err != nil {
		return v, err
	}
	if v.Format != 1 {
		return v, fmt.Errorf("format is %d, this ebb reads format 1", v.Format)
	}
	v.Undoes, err = unpackRefs("RollbackVersion", "undoes", undoes)
	return v, err
}
