package builtins

import (
	"errors"
	"maps"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// hidden replaces a value of a Secret in a script. It does not contain the value. So, whatever the
// script does, the value can't reach a log, plan, version file or journal.
type hidden struct{}

var errHidden = errors.New("this is a value of a Secret, which scripts do not get")

// String implements starlark.Value.
func (hidden) String() string { return "(secret)" }

// Type implements starlark.Value.
func (hidden) Type() string { return "secret" }

// Freeze implements starlark.Value.
func (hidden) Freeze() {}

// Truth implements starlark.Value.
func (hidden) Truth() starlark.Bool { return starlark.True }

// Hash implements starlark.Value.
func (hidden) Hash() (uint32, error) { return 0, errHidden }

// CompareSameType implements starlark.Comparable. It returns an error: all hidden values look the
// same, so a check for a change would never find one.
func (hidden) CompareSameType(syntax.Token, starlark.Value, int) (bool, error) {
	return false, errHidden
}

var _ starlark.Comparable = hidden{}

// lastApplied is the annotation in which kubectl apply keeps a copy of the manifest, including its
// secrets.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func isSecret(r kube.Resource) bool { return r.Group == "" && r.Kind == "Secret" }

// withoutSecrets returns obj or, for a Secret, a copy with hidden values.
func withoutSecrets(r kube.Resource, obj kube.Object) kube.Object {
	if !isSecret(r) || obj == nil {
		return obj
	}
	obj = maps.Clone(obj)
	for _, key := range []string{"data", "stringData"} {
		if values, ok := obj[key].(map[string]any); ok {
			obj[key] = hide(values)
		} else if obj[key] != nil {
			obj[key] = hidden{}
		}
	}
	meta, _ := obj["metadata"].(map[string]any)
	if annotations, ok := meta["annotations"].(map[string]any); ok && annotations[lastApplied] != nil {
		meta, annotations = maps.Clone(meta), maps.Clone(annotations)
		annotations[lastApplied] = hidden{}
		meta["annotations"] = annotations
		obj["metadata"] = meta
	}
	return obj
}

// hide hides values. It keeps the keys, and None, which removes a key.
func hide(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for key, value := range values {
		if value != nil {
			value = hidden{}
		}
		out[key] = value
	}
	return out
}

// withoutEnvironment returns v with the values of environment variables hidden: manifests often
// contain passwords there.
func withoutEnvironment(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			variables, ok := value.([]any)
			if key != "env" || !ok {
				out[key] = withoutEnvironment(value)
				continue
			}
			env := make([]any, len(variables))
			for i, variable := range variables {
				env[i] = variable
				if m, ok := variable.(map[string]any); ok && m["value"] != nil {
					m = maps.Clone(m)
					m["value"] = hidden{}
					env[i] = m
				}
			}
			out[key] = env
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutEnvironment(v[i])
		}
		return out
	}
	return v
}
