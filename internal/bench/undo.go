package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// undo is a row that replays what killed runs left behind.
type undo struct {
	template string
	what     string // with the size
	size     int
	parallel int // 0 is ebb's default
	gone     bool
	idle     bool // pods are never scheduled, and so are gone at once
	reach    float64
	repeats  int
	requests func(Request) []Request // what the bare program does with one object
}

// byDefault is how many executions ebb replays at a time.
const byDefault = 16

func undoRow(u undo) row {
	name := fmt.Sprintf("undo/%s/%d", u.template, u.size)
	if u.gone {
		name = fmt.Sprintf("gone/%d", u.size)
	}
	if !u.idle && u.template == "hog" {
		name = fmt.Sprintf("running/%d", u.size)
	}
	if u.parallel == 1 {
		name += "/serial"
	}
	return row{
		Name: name, What: fmt.Sprintf(u.what, u.size), BareIs: "client-go: " + requestNames(u.requests(Request{})), Size: u.size, Reach: u.reach, repeats: cmp.Or(u.repeats, 3),
		prepare: func(ctx context.Context, b *bench) (step, step, error) {
			t, err := b.template(ctx, u.template)
			if err != nil {
				return nil, nil, err
			}
			workspace := strings.ReplaceAll(name, "/", "-")
			dir, store, err := b.workspace(workspace)
			if err != nil {
				return nil, nil, err
			}
			args := []string{"execute-rollback", "--yes"}
			if u.parallel > 0 {
				args = append(args, "--parallel", fmt.Sprint(u.parallel))
			}
			ebb := func(ctx context.Context) (process, error) {
				copies, err := b.objects(ctx, t, u)
				if err == nil {
					err = fill(store, copies)
				}
				if err == nil {
					err = toDisk(store)
				}
				return b.command(dir, args...), err
			}
			bare := func(ctx context.Context) (process, error) {
				copies, err := b.objects(ctx, t, u)
				if err != nil {
					return process{}, err
				}
				var pieces [][]Request
				for _, c := range copies {
					var piece []Request
					for _, object := range c.objects {
						piece = append(piece, u.requests(object)...)
					}
					pieces = append(pieces, piece)
				}
				return b.work(workspace, cmp.Or(u.parallel, byDefault), pieces)
			}
			return ebb, bare, nil
		},
		cleanup: removeWorkspace(strings.ReplaceAll(name, "/", "-")),
	}
}

// objects makes what a row undoes.
func (b *bench) objects(ctx context.Context, t *template, u undo) ([]*copied, error) {
	if err := b.empty(ctx, t.namespace); err != nil {
		return nil, err
	}
	var edit func(map[string]any)
	if u.idle {
		edit = unscheduled
	}
	copies, err := b.copies(ctx, t, u.size, !u.gone, edit)
	if err != nil || u.idle || u.template != "hog" {
		return copies, err
	}
	return copies, b.running(ctx, t.namespace, u.size)
}

// unscheduled leaves a pod without a node.
func unscheduled(object map[string]any) {
	if object["kind"] == "Pod" {
		_ = unstructured.SetNestedField(object, "nobody", "spec", "schedulerName") // a pod has a spec
	}
}

// running waits until all pods of a namespace run.
func (b *bench) running(ctx context.Context, namespace string, n int) error {
	return poll(ctx, fmt.Sprintf("%d pods run", n), func() (bool, error) {
		list, err := b.client.Resource(pods).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		running := 0
		for _, item := range list.Items {
			// A pod without a phase does not run.
			if phase, _, _ := unstructured.NestedString(item.Object, "status", "phase"); phase == "Running" {
				running++
			}
		}
		return running == n, nil
	})
}

// copies are n copies of a template, each of a run of its own.
func (b *bench) copies(ctx context.Context, t *template, n int, make bool, edit func(map[string]any)) ([]*copied, error) {
	all := slices.Repeat([]*copied{nil}, n)
	return all, each(ctx, n, func(ctx context.Context, i int) (err error) {
		all[i], err = b.copy(ctx, t, i, runOf(i), make, edit)
		return err
	})
}

// runOf is the UUID of run i.
func runOf(i int) string { return fmt.Sprintf("bench000-0000-4000-8000-%012d", i) }

// verbs makes requests about one object.
func verbs(object Request, verbs ...string) []Request {
	var all []Request
	for _, verb := range verbs {
		object.Verb = verb
		all = append(all, object)
	}
	return all
}

// What ebb sends for one object, as runner's TestRequests has it. The answer to the delete of a pod is
// the pod, also where it is gone at once; that of others says so.

func podRequests(object Request) []Request    { return verbs(object, "get", "delete", "get") }
func deleteRequests(object Request) []Request { return verbs(object, "get", "delete") }
func goneRequests(object Request) []Request   { return verbs(object, "get") }
func waitRequests(object Request) []Request   { return verbs(object, "get", "delete", "absent") }

func hijackRequests(object Request) []Request {
	switch object.Resource {
	case pods.Resource:
		return podRequests(object)
	case configMaps.Resource:
		return deleteRequests(object)
	}
	object.Body = json.RawMessage(`{"spec":{"selector":{"app":"bench","ebb.dev/service-hijacking":null}}}`)
	return verbs(object, "get", "patch", "get")
}

func requestNames(requests []Request) string {
	var names []string
	for _, r := range requests {
		names = append(names, strings.ToUpper(r.Verb))
	}
	return strings.Join(names, ", ")
}

// outageRequests is what a run of one outage sends: which cluster it is, the rights, the policy, and
// its undo.
func outageRequests(namespace string) []Request {
	all := []Request{{Verb: "get", Version: "v1", Resource: "namespaces", Name: "kube-system"}}
	for _, verb := range []string{"create", "get", "delete"} {
		body := fmt.Appendf(nil, `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":%q,"group":"networking.k8s.io","resource":"networkpolicies","namespace":%q}}}`, verb, namespace)
		all = append(all, Request{Verb: "create", Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews", Body: body})
	}
	policy := Request{Group: policies.Group, Version: policies.Version, Resource: policies.Resource, Namespace: namespace, Name: "bare"}
	policy.Body = fmt.Appendf(nil, `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"bare","namespace":%q},"spec":{"podSelector":{},"policyTypes":["Ingress","Egress"]}}`, namespace)
	return append(all, verbs(policy, "get", "get", "create", "get", "delete")...)
}
