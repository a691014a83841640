package builtins

import (
	"context"
	"errors"
	"fmt"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// Labels that k8s.create puts on what a run makes, and that make it ours.
const (
	LabelRunUUID      = kube.RunLabel
	LabelScenarioType = "ebb.dev/scenario-type"
)

var k8sModule = &starlarkstruct.Module{Name: "k8s", Members: starlark.StringDict{
	"get":    starlark.NewBuiltin("k8s.get", k8sGet),
	"list":   starlark.NewBuiltin("k8s.list", k8sList),
	"create": starlark.NewBuiltin("k8s.create", k8sCreate),
	"apply":  starlark.NewBuiltin("k8s.apply", k8sApply),
	"patch":  starlark.NewBuiltin("k8s.patch", k8sPatch),
	"delete": starlark.NewBuiltin("k8s.delete", k8sDelete),
	"exec":   starlark.NewBuiltin("k8s.exec", k8sExec),
	"wait":   starlark.NewBuiltin("k8s.wait", k8sWait),
	"logs":   starlark.NewBuiltin("k8s.logs", k8sLogs),
	"can":    starlark.NewBuiltin("k8s.can", k8sCan),
}}

// object is one thing in the cluster that a builtin was asked for.
type object struct {
	client   *kube.Client
	resource kube.Resource
	ref      Ref
}

// cluster opens the cluster for a builtin.
func (s *Session) cluster(ctx context.Context) (*kube.Client, error) {
	if s.Cluster == nil {
		return nil, errors.New("there is no cluster here")
	}
	return s.Cluster(ctx)
}

// resolve finds what kind is, and checks that a namespace is given where it must be.
func (s *Session) resolve(ctx context.Context, apiVersion, kind, name, namespace string) (*object, error) {
	client, err := s.cluster(ctx)
	if err != nil {
		return nil, err
	}
	resource, err := client.Resolve(ctx, apiVersion, kind)
	if err != nil {
		return nil, err
	}
	switch {
	case resource.Namespaced && namespace == "":
		return nil, fmt.Errorf("%s %q needs a namespace", kind, name)
	case !resource.Namespaced && namespace != "":
		return nil, fmt.Errorf("%s %q has no namespace, got namespace %q", kind, name, namespace)
	}
	return &object{client, resource, Ref{Kind: kind, Name: name, Namespace: namespace}}, nil
}

// get reads o and returns nil when it is absent, for sure.
func (s *Session) get(ctx context.Context, o *object) (kube.Object, error) {
	match := func(r Ref) bool { return r == o.ref }
	read := func() (kube.Object, error) {
		obj, err := o.client.Get(ctx, o.resource, o.ref.Namespace, o.ref.Name)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return obj, err
	}
	obj, err := read()
	if err != nil {
		return nil, err
	}
	waited, err := s.settle(ctx, match, obj != nil)
	if err != nil {
		return nil, err
	}
	if waited {
		return read()
	}
	return obj, nil
}

func k8sGet(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var kind, name, namespace, apiVersion string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "kind", &kind, "name", &name, "namespace?", &namespace, "api_version?", &apiVersion); err != nil {
		return nil, err
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	o, err := s.resolve(ctx, apiVersion, kind, name, namespace)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	obj, err := s.get(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return objectValue(b, o.resource, obj)
}

// objectValue is None for a nil object.
func objectValue(b *starlark.Builtin, r kube.Resource, obj kube.Object) (starlark.Value, error) {
	if obj == nil {
		return starlark.None, nil
	}
	v, err := toStarlark(map[string]any(withoutSecrets(r, obj)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return v, nil
}

func (s *Session) list(ctx context.Context, client *kube.Client, r kube.Resource, namespace string, o kube.ListOptions) (starlark.Value, error) {
	if s.Mode != Run {
		// A list can't say which of its objects are missing: wait for all of the kind.
		match := func(u Ref) bool { return u.Kind == r.Kind && (namespace == "" || u.Namespace == namespace) }
		if _, err := s.settle(ctx, match, false); err != nil {
			return nil, err
		}
	}
	objects, err := client.List(ctx, r, namespace, o)
	if err != nil {
		return nil, err
	}
	list := make([]any, len(objects))
	for i, obj := range objects {
		list[i] = map[string]any(withoutSecrets(r, obj))
	}
	return toStarlark(list)
}

func k8sList(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var kind, namespace, apiVersion string
	var o kube.ListOptions
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "kind", &kind, "namespace?", &namespace,
		"label_selector?", &o.LabelSelector, "field_selector?", &o.FieldSelector, "api_version?", &apiVersion); err != nil {
		return nil, err
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	client, err := s.cluster(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	resource, err := client.Resolve(ctx, apiVersion, kind)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if !resource.Namespaced && namespace != "" {
		return nil, fmt.Errorf("%s: a %s has no namespace, got namespace %q", b.Name(), kind, namespace)
	}
	v, err := s.list(ctx, client, resource, namespace, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return v, nil
}

func k8sLogs(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var name, namespace, container string
	tail := 100
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &name, "namespace", &namespace, "container?", &container, "tail_lines?", &tail); err != nil {
		return nil, err
	}
	if tail < 1 {
		return nil, fmt.Errorf("%s: for parameter tail_lines: got %d, want at least 1", b.Name(), tail)
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	client, err := s.cluster(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	text, err := client.Logs(ctx, namespace, name, container, int64(tail), 1<<20)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.String(text), nil
}
