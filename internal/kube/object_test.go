package kube

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

func TestContains(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		have, want string
		yes        bool
	}{
		{`{"a":1,"b":2}`, `{"a":1}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1}`, `{"b":null}`, true},
		{`{"b":1}`, `{"b":null}`, false},
		{`{"a":{"x":1,"y":2}}`, `{"a":{"y":2}}`, true},
		{`{"a":{"x":1}}`, `{"a":1}`, false},
		{`{"a":1}`, `{"a":{"x":1}}`, false},
		{`{"a":[1,2]}`, `{"a":[1,2]}`, true},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, false},
		{`{"a":[1,2]}`, `{"a":[1]}`, false},
		{`{"a":[{"n":"c","default":true}]}`, `{"a":[{"n":"c"}]}`, true},
		{`{}`, `{"a":{}}`, true},
		{`{}`, `{"a":[]}`, true},
		{`{"a":1}`, `{"a":[]}`, false},
		{`{"a":1}`, `{"a":1.0}`, true},
		{`{"a":1.0}`, `{"a":1}`, true},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`{"a":false}`, `{}`, true},
		{`{}`, `{"a":false}`, false},
	} {
		have, want := mustDecode(t, test.have), mustDecode(t, test.want)
		if got := contains(have, want); got != test.yes {
			t.Errorf("contains(%s, %s) = %v", test.have, test.want, got)
		}
	}
}

// What a merge patch makes of an object holds the patch; what lacks a value does not.
func TestContainsIsWhatAMergePatchDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		object, patch := objects(3).Draw(t, "object"), objects(3).Draw(t, "patch")
		merged := merge(object, patch)
		if !contains(merged, patch) {
			t.Fatalf("%v with %v is %v, which does not contain it", object, patch, merged)
		}
		other := maps.Clone(merged)
		other["a"] = "something else"
		patch["a"] = "a value"
		if contains(other, patch) {
			t.Fatalf("%v contains %v", other, patch)
		}
	})
}

// merge is RFC 7386's algorithm.
func merge(target any, patch any) Object {
	result, ok := target.(Object)
	if !ok {
		result = Object{}
	}
	result = maps.Clone(result)
	for key, value := range patch.(Object) {
		switch value := value.(type) {
		case nil:
			delete(result, key)
		case Object:
			result[key] = merge(result[key], value)
		default:
			result[key] = value
		}
	}
	return result
}

func objects(depth int) *rapid.Generator[Object] {
	return rapid.Custom(func(t *rapid.T) Object {
		return rapid.MapOf(rapid.SampledFrom([]string{"a", "b", "c", "d"}), values(depth)).Draw(t, "object")
	})
}

func values(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		top := 5
		if depth > 0 {
			top = 7
		}
		switch rapid.IntRange(0, top).Draw(t, "type") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Int64().Draw(t, "int")
		case 3:
			return rapid.Float64Range(-1e6, 1e6).Draw(t, "float")
		case 4, 5:
			return rapid.String().Draw(t, "string")
		case 6:
			return []any{values(depth-1).Draw(t, "item")}
		default:
			return objects(depth-1).Draw(t, "inner")
		}
	})
}

// The caller's objects are nobody else's to change.
func TestArgumentsAreLeftAlone(t *testing.T) {
	t.Parallel()
	object := Object{"metadata": Object{"name": "a", "resourceVersion": "1"}}
	want := fmt.Sprint(object)
	withMeta(object, "uid", "x")
	withoutVersion(object)
	if _, err := asKind(configMap, object); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(object); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `[]`, `{"metadata":1}`, `{"metadata":{"managedFields":[]},"n":1e400}`, `{"a":9223372036854775808}`, `{"0":0.0}`, ``, `{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		object, err := decode(body)
		if err != nil {
			return
		}
		again, printed, err := normal(object)
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		// A 0.0 comes back as the whole number that it is: what is sent stays the same.
		if _, reprinted, err := normal(again); err != nil || !bytes.Equal(printed, reprinted) {
			t.Fatalf("%q: got %v, then %v", body, object, again)
		}
		if !contains(object, again) {
			t.Fatalf("%q does not contain itself", body)
		}
	})
}

func FuzzErrorIsOneLine(f *testing.F) {
	f.Add("delete", "pods", "ns", "p", int32(403), "Forbidden", `pods "p" is forbidden: User "alice" cannot delete resource "pods" in API group "" in the namespace "ns"`)
	f.Add("get", "nodes", "", "", int32(401), "Unauthorized", "Unauthorized")
	f.Add("create", "secrets", "ns", "s", int32(500), "", "line\nline")
	f.Fuzz(func(t *testing.T, verb, resource, namespace, name string, code int32, why, message string) {
		if strings.ContainsAny(verb+resource, "\r\n") {
			t.Skip("verbs and resources are ours")
		}
		e := &Error{Verb: verb, Resource: resource, Namespace: namespace, Name: name, Err: &apierrors.StatusError{
			ErrStatus: metav1.Status{Code: code, Reason: metav1.StatusReason(why), Message: message},
		}}
		if text := e.Error(); strings.ContainsAny(text, "\r\n") || text == "" {
			t.Fatalf("got %q", text)
		}
		if r, c := e.Catch(); r == "" || c != int(code) {
			t.Fatalf("caught %q, %d", r, c)
		}
	})
}

func mustDecode(t testing.TB, text string) Object {
	t.Helper()
	object, err := decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return object
}
