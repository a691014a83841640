package builtins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.starlark.net/starlark"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
)

// Labels that k8s.create sets on the objects that a run creates. They show that an object belongs
// to a run.
const (
	LabelRunUUID      = kube.RunLabel
	LabelScenarioType = "ebb.dev/scenario-type"
)

var k8sFunctions = []*function{
	builtin("k8s.get", Read, getArgs{}, k8sGet),
	builtin("k8s.list", Read, listArgs{}, k8sList),
	builtin("k8s.create", Write, createArgs{}, k8sCreate),
	builtin("k8s.apply", Write, applyArgs{}, k8sApply),
	builtin("k8s.patch", Write, patchArgs{}, k8sPatch),
	builtin("k8s.delete", Write, deleteArgs{}, k8sDelete),
	builtin("k8s.restore", Write, restoreArgs{}, k8sRestore),
	builtin("k8s.exec", Write, execArgs{Check: true, Timeout: seconds(60 * time.Second)}, k8sExec),
	builtin("k8s.wait", Read, waitArgs{Timeout: seconds(60 * time.Second)}, k8sWait),
	builtin("k8s.logs", Read, logsArgs{TailLines: 100}, k8sLogs),
	builtin("k8s.can", Read, canArgs{}, k8sCan),
	builtin("k8s.own_pod", Read, struct{}{}, k8sOwnPod),
}

// object is one object in the cluster that a call is about.
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

// resolve finds a kind, and checks that a namespace is given exactly if the kind has namespaces.
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

// get reads o. It returns nil if the object is certain to be absent.
func (s *Session) get(ctx context.Context, o *object) (kube.Object, error) {
	if obj, ok := s.believed(o.ref); ok {
		return obj, nil
	}
	if s.knownAbsent(o.ref) {
		return nil, nil
	}
	match := func(r Ref) bool { return r == o.ref }
	read := func() (kube.Object, error) {
		obj, err := o.client.Get(ctx, o.resource, o.ref.Namespace, o.ref.Name)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err == nil {
			s.identify(o, obj)
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
		if obj, err = read(); err != nil {
			return nil, err
		}
	}
	if obj == nil {
		s.noteAbsent(o.ref)
	}
	return obj, nil
}

type getArgs struct {
	Kind       string `star:"kind"`
	Name       string `star:"name"`
	Namespace  string `star:"namespace?"`
	APIVersion string `star:"api_version?"`
}

func k8sGet(c *call, a *getArgs) (starlark.Value, error) {
	o, err := c.resolve(c.ctx, a.APIVersion, a.Kind, a.Name, a.Namespace)
	if err != nil {
		return nil, err
	}
	obj, err := c.get(c.ctx, o)
	if err != nil {
		return nil, err
	}
	return objectValue(o.resource, obj)
}

// objectValue is None for a nil object.
func objectValue(r kube.Resource, obj kube.Object) (starlark.Value, error) {
	if obj == nil {
		return starlark.None, nil
	}
	return toStarlark(withoutSecrets(r, obj))
}

func (s *Session) list(ctx context.Context, client *kube.Client, r kube.Resource, namespace string, o kube.ListOptions) (starlark.Value, error) {
	if s.Mode != Run {
		// A list does not show which objects are missing, so wait for all requests for objects of
		// the kind.
		match := func(u Ref) bool { return u.Kind == r.Kind && (namespace == "" || u.Namespace == namespace) }
		if _, err := s.settle(ctx, match, false); err != nil {
			return nil, err
		}
	}
	objects, err := client.List(ctx, r, namespace, o)
	if err != nil {
		return nil, err
	}
	objects = s.believedOf(r, objects)
	list := make([]any, len(objects))
	for i, obj := range objects {
		list[i] = withoutSecrets(r, obj)
	}
	return toStarlark(list)
}

type listArgs struct {
	Kind          string `star:"kind"`
	Namespace     string `star:"namespace?"`
	LabelSelector string `star:"label_selector?"`
	FieldSelector string `star:"field_selector?"`
	APIVersion    string `star:"api_version?"`
	Optional      bool   `star:"optional?"`
}

func k8sList(c *call, a *listArgs) (starlark.Value, error) {
	return c.optional(a.Optional, func(ctx context.Context) (starlark.Value, error) {
		client, err := c.cluster(ctx)
		if err != nil {
			return nil, err
		}
		resource, err := client.Resolve(ctx, a.APIVersion, a.Kind)
		if err != nil {
			return nil, err
		}
		if !resource.Namespaced && a.Namespace != "" {
			return nil, fmt.Errorf("a %s has no namespace, got namespace %q", a.Kind, a.Namespace)
		}
		return c.list(ctx, client, resource, a.Namespace, kube.ListOptions{LabelSelector: a.LabelSelector, FieldSelector: a.FieldSelector})
	})
}

// optionalLimit is how long a server may take for an answer that is optional.
const optionalLimit = 3 * time.Second

// optional reads something that nothing depends on. It does not wait for a server, and returns None
// on an error.
func (c *call) optional(optional bool, read func(context.Context) (starlark.Value, error)) (starlark.Value, error) {
	if !optional {
		return read(c.ctx)
	}
	ctx, cancel := context.WithTimeout(patience.Impatient(c.ctx), optionalLimit)
	defer cancel()
	v, err := read(ctx)
	if err == nil || c.ctx.Err() != nil {
		return v, err
	}
	c.Log.Debug(fmt.Sprintf("not known, and not needed: %v", err))
	return starlark.None, nil
}

type logsArgs struct {
	Name      string `star:"name"`
	Namespace string `star:"namespace"`
	Container string `star:"container?"`
	TailLines int    `star:"tail_lines?"`
	Optional  bool   `star:"optional?"`
}

func k8sLogs(c *call, a *logsArgs) (starlark.Value, error) {
	if a.TailLines < 1 {
		return nil, fmt.Errorf("for parameter tail_lines: got %d, want at least 1", a.TailLines)
	}
	return c.optional(a.Optional, func(ctx context.Context) (starlark.Value, error) {
		client, err := c.cluster(ctx)
		if err != nil {
			return nil, err
		}
		text, err := client.Logs(ctx, a.Namespace, a.Name, a.Container, int64(a.TailLines), 1<<20)
		return starlark.String(text), err
	})
}

type canArgs struct {
	Verb      string `star:"verb"`
	Resource  string `star:"resource"`
	Namespace string `star:"namespace?"`
}

// k8sCan is for rights that a scenario needs only for some objects. The rights that it always needs
// are in its declaration and are checked before it is run.
func k8sCan(c *call, a *canArgs) (starlark.Value, error) {
	client, err := c.cluster(c.ctx)
	if err != nil {
		return nil, err
	}
	group, plural, subresource := kube.SplitResource(a.Resource)
	allowed, _, err := client.Can(c.ctx, a.Verb, group, plural, subresource, a.Namespace, "")
	return starlark.Bool(allowed), err
}
