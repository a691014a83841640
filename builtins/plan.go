package builtins

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// Change is a change that a [Plan] session would have made. Before and After are the object as
// JSON, without the values of secrets and environment variables. They are nil if there is no
// object.
type Change struct {
	Verb   string          `json:"verb"`   // create, apply, patch, delete, exec, or the verb of a cloud
	Object string          `json:"object"` // for people: Pod "a" in namespace "b"
	Text   string          `json:"text"`   // the whole change on one line
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// plan records a change that has no object to show.
func (s *Session) plan(verb string, r Ref, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changesPlanned = append(s.changesPlanned, Change{Verb: verb, Object: r.Text(), Text: fmt.Sprintf(format, args...)})
}

// Planned returns the changes that a [Plan] session would have made, in order.
func (s *Session) Planned() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Change(nil), s.changesPlanned...)
}

// intent is a change of an object, for which a plan asks the API server.
type intent struct {
	verb, text string
	before     kube.Object                                // nil: planObject reads it
	local      func(before kube.Object) kube.Object       // returns the result of the change, as far as it can be computed here
	send       func(context.Context) (kube.Object, error) // the change
}

// planObject sends a change to the API server as a dry run, and records the result. The server
// checks rights, admission, preconditions and the object, and stores nothing. It does not know the
// changes that were planned before. In that case, and if a webhook does not support dry runs, the
// result of the change is computed here.
func (s *Session) planObject(ctx context.Context, o *object, i intent) (after kube.Object, err error) {
	before, known := s.believed(o.ref)
	if !known {
		if before = i.before; before == nil && i.verb != "create" {
			if before, err = s.get(ctx, o); err != nil {
				return nil, err
			}
		}
		if after, err = i.send(kube.WithDryRun(ctx)); err != nil && !noDryRun(err) {
			return nil, err
		}
	}
	if known || err != nil {
		after = i.local(before)
	}
	if i.verb == "delete" {
		after = nil
	}
	if known {
		before = withoutIdentity(before)
	}
	s.beliefs().set(o.ref, after)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Change{Verb: i.verb, Object: o.ref.Text(), Text: i.text}
	if c.Before, err = shown(o.resource, before); err == nil {
		c.After, err = shown(o.resource, after)
	}
	s.changesPlanned = append(s.changesPlanned, c)
	return after, err
}

// noDryRun reports whether an admission webhook has side effects, so that the API server does not
// call it in a dry run.
func noDryRun(err error) bool {
	return apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "does not support dry run")
}

// merge returns an object after a JSON merge patch (RFC 7386).
func merge(obj, patch kube.Object) kube.Object {
	out := maps.Clone(obj)
	if out == nil {
		out = kube.Object{}
	}
	for key, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(out, key)
		case map[string]any:
			inner, _ := out[key].(map[string]any)
			out[key] = merge(inner, value)
		default:
			out[key] = value
		}
	}
	return out
}

// Beliefs are objects in the state in which planned undos would leave them. They pass the result of
// one planned undo to the next. The zero value is ready for use.
type Beliefs struct {
	mu      sync.Mutex
	objects map[Ref]kube.Object // nil: deleted
}

func (b *Beliefs) set(r Ref, obj kube.Object) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		b.objects = map[Ref]kube.Object{}
	}
	b.objects[r] = obj
}

func (b *Beliefs) get(r Ref) (kube.Object, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	obj, ok := b.objects[r]
	return obj, ok
}

// beliefs returns those that the session was given, or its own.
func (s *Session) beliefs() *Beliefs {
	if s.Beliefs != nil {
		return s.Beliefs
	}
	return &s.ownBeliefs
}

// believed returns an object with the planned changes.
func (s *Session) believed(r Ref) (kube.Object, bool) {
	if s.Mode != Plan {
		return nil, false
	}
	return s.beliefs().get(r)
}

// withoutIdentity removes the fields that the API server generates even for an object that it does
// not store. They would differ in the next plan.
func withoutIdentity(obj kube.Object) kube.Object {
	meta := maps.Clone(nested(obj, "metadata"))
	if meta == nil {
		return obj
	}
	for _, key := range []string{"uid", "resourceVersion", "creationTimestamp"} {
		delete(meta, key)
	}
	obj = maps.Clone(obj)
	obj["metadata"] = meta
	return obj
}

// believedOf returns a list of objects after the planned changes: without those that would have
// been deleted.
func (s *Session) believedOf(r kube.Resource, objects []kube.Object) []kube.Object {
	var there []kube.Object
	for _, obj := range objects {
		if changed, ok := s.believed(Ref{Kind: r.Kind, Name: text(obj, "metadata", "name"), Namespace: text(obj, "metadata", "namespace")}); ok {
			obj = changed
		}
		if obj != nil {
			there = append(there, obj)
		}
	}
	return there
}

// shown returns an object as people may see it.
func shown(r kube.Resource, obj kube.Object) (json.RawMessage, error) {
	if obj == nil {
		return nil, nil
	}
	clean, _ := withoutEnvironment(map[string]any(withoutSecrets(r, obj))).(map[string]any)
	clean = maps.Clone(clean)
	if meta, ok := clean["metadata"].(map[string]any); ok {
		meta = maps.Clone(meta)
		delete(meta, "managedFields")
		clean["metadata"] = meta
	}
	return json.Marshal(clean)
}

// MarshalJSON keeps a hidden value hidden.
func (h hidden) MarshalJSON() ([]byte, error) { return json.Marshal(h.String()) }
