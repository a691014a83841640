package kube

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
)

// RunLabel is the label with the run that created an object. If the answer to a create was lost, it
// shows that the object is the created one.
const RunLabel = "ebb.dev/run-uuid"

const (
	jsonType       = "application/json"
	mergePatchType = "application/merge-patch+json"
	applyType      = "application/apply-patch+yaml"
)

// normal returns a copy of an object as the API server would see it, and its JSON.
func normal(object Object) (Object, []byte, error) {
	body, err := json.Marshal(object)
	if err != nil {
		return nil, nil, fmt.Errorf("object is not JSON: %w", err)
	}
	var out Object
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, nil, fmt.Errorf("object is not JSON: %w", err)
	}
	return out, body, nil
}

// asKind returns the object with apiVersion and kind filled in. It refuses an object of another
// kind.
func asKind(r Resource, object Object) (Object, error) {
	out := maps.Clone(object)
	if out == nil {
		out = Object{}
	}
	for key, want := range map[string]string{"apiVersion": r.APIVersion(), "kind": r.Kind} {
		switch got := out[key]; got {
		case nil:
			out[key] = want
		case want:
		default:
			return nil, fmt.Errorf("%s: got %v, want %q", key, got, want)
		}
	}
	return out, nil
}

// Meta gives access to the metadata of an object, also if fields are absent or of another type.
func Meta(object Object) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: object}
}

// withMeta returns a copy of the object with one field of its metadata set, or removed if the value
// is empty.
func withMeta(object Object, key, value string) Object {
	meta, _ := object["metadata"].(Object)
	meta = maps.Clone(meta)
	if value == "" {
		if meta == nil {
			return object
		}
		delete(meta, key)
	} else {
		if meta == nil {
			meta = Object{}
		}
		meta[key] = value
	}
	object = maps.Clone(object)
	if object == nil {
		object = Object{}
	}
	object["metadata"] = meta
	return object
}

func withoutManagedFields(object Object) Object {
	unstructured.RemoveNestedField(object, "metadata", "managedFields")
	return object
}

// contains reports whether have contains each value of want, by the rules of a merge patch: null
// means absent, and a list must be equal. An empty value may be absent, since the API server drops
// it.
func contains(have, want any) bool {
	switch want := want.(type) {
	case nil:
		return have == nil
	case Object:
		if have == nil {
			have = Object{}
		}
		h, ok := have.(Object)
		if !ok {
			return false
		}
		for key, value := range want {
			if !contains(h[key], value) {
				return false
			}
		}
		return true
	case []any:
		if have == nil {
			return len(want) == 0
		}
		h, ok := have.([]any)
		if !ok || len(h) != len(want) {
			return false
		}
		for i, value := range want {
			// Objects in a list get defaults, too.
			if !contains(h[i], value) {
				return false
			}
		}
		return true
	case int64:
		if f, ok := have.(float64); ok {
			return f == float64(want)
		}
	case float64:
		if i, ok := have.(int64); ok {
			return float64(i) == want
		}
	}
	return have == want
}
