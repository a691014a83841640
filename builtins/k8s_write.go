package builtins

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// writer is outside for what changes something.
func writer(t *starlark.Thread) (context.Context, *Session, error) {
	ctx, s, err := outside(t)
	if err == nil && s.Mode == Verify {
		err = errors.New("can't be called in a verify callable: it only reads")
	}
	return ctx, s, err
}

// unknownOutcome reports whether the fate of a request is open.
func unknownOutcome(err error) bool {
	var u *kube.UnknownOutcomeError
	return errors.As(err, &u)
}

// manifest reads the object that a script wants to have, and finds its ref.
func (s *Session) manifest(ctx context.Context, v starlark.Value) (kube.Object, *object, error) {
	obj, err := toObject(v)
	if err != nil {
		return nil, nil, fmt.Errorf("for parameter object: %w", err)
	}
	apiVersion, _ := obj["apiVersion"].(string)
	kind, _ := obj["kind"].(string)
	if apiVersion == "" || kind == "" {
		return nil, nil, errors.New(`for parameter object: "apiVersion" and "kind" must be given, as strings`)
	}
	meta, _ := obj["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	if name == "" {
		if _, ok := meta["generateName"]; ok {
			return nil, nil, errors.New("for parameter object: generateName can't be used, since an undo must know the name before the object exists: use random_name")
		}
		return nil, nil, errors.New(`for parameter object: "metadata.name" must be given, as a string`)
	}
	namespace, _ := meta["namespace"].(string)
	o, err := s.resolve(ctx, apiVersion, kind, name, namespace)
	return obj, o, err
}

// own puts the run's labels on obj and on the templates of the pods that it makes.
func (s *Session) own(obj kube.Object) {
	s.ownMeta(obj)
	spec, _ := obj["spec"].(map[string]any)
	if job, ok := spec["jobTemplate"].(map[string]any); ok {
		s.ownMeta(job)
		spec, _ = job["spec"].(map[string]any)
	}
	if template, ok := spec["template"].(map[string]any); ok {
		s.ownMeta(template)
	}
}

func (s *Session) ownMeta(obj map[string]any) {
	meta := child(obj, "metadata")
	labels := child(meta, "labels")
	labels[LabelRunUUID] = s.RunUUID
	labels[LabelScenarioType] = s.ScenarioType
}

// child returns the map at key, which it makes where there is none.
func child(m map[string]any, key string) map[string]any {
	c, ok := m[key].(map[string]any)
	if !ok {
		c = map[string]any{}
		m[key] = c
	}
	return c
}

// owned reports whether obj carries this run's labels. A hand-written version
// file names no run: then it is enough that some run made obj.
func (s *Session) owned(obj kube.Object) (bool, string) {
	meta, _ := obj["metadata"].(map[string]any)
	labels, _ := meta["labels"].(map[string]any)
	run, ok := labels[LabelRunUUID].(string)
	switch {
	case !ok:
		return false, "it does not carry the label " + LabelRunUUID
	case s.RunUUID != "" && run != s.RunUUID:
		return false, fmt.Sprintf("its label %s is %q, not %q", LabelRunUUID, run, s.RunUUID)
	}
	return true, ""
}

func k8sCreate(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "object", &v); err != nil {
		return nil, err
	}
	ctx, s, err := writer(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	obj, o, err := s.manifest(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	s.own(obj)
	if s.Mode == Plan {
		s.plan("create %s", o.ref.Text())
		return objectValue(b, o.resource, obj)
	}
	var made kube.Object
	err = s.change(ctx, "create", o.ref, func(ctx context.Context) (err error) {
		made, err = o.client.Create(ctx, o.resource, o.ref.Namespace, obj)
		return err
	}, unknownOutcome)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return objectValue(b, o.resource, made)
}

func k8sApply(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var v starlark.Value
	force := false
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "object", &v, "force?", &force); err != nil {
		return nil, err
	}
	ctx, s, err := writer(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	obj, o, err := s.manifest(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if s.Mode == Plan {
		s.plan("apply %s", o.ref.Text())
		return objectValue(b, o.resource, obj)
	}
	if _, err := s.settle(ctx, func(r Ref) bool { return r == o.ref }, true); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	var made kube.Object
	err = s.change(ctx, "apply", o.ref, func(ctx context.Context) (err error) {
		made, err = o.client.Apply(ctx, o.resource, o.ref.Namespace, o.ref.Name, obj, "ebb", force)
		return err
	}, unknownOutcome)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return objectValue(b, o.resource, made)
}

func k8sPatch(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var kind, name, namespace, apiVersion string
	var patch starlark.Value
	var opts kube.PatchOptions
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "kind", &kind, "name", &name, "patch", &patch, "namespace?", &namespace,
		"uid?", &opts.UID, "resource_version?", &opts.ResourceVersion, "api_version?", &apiVersion); err != nil {
		return nil, err
	}
	ctx, s, err := writer(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	body, err := toObject(patch)
	if err != nil {
		return nil, fmt.Errorf("%s: for parameter patch: %w", b.Name(), err)
	}
	o, err := s.resolve(ctx, apiVersion, kind, name, namespace)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if s.Mode == Plan {
		s.plan("patch %s: %s", o.ref.Text(), strings.Join(leaves("", withoutEnvironment(map[string]any(withoutSecrets(o.resource, body)))), ", "))
		return starlark.None, nil
	}
	if _, err := s.settle(ctx, func(r Ref) bool { return r == o.ref }, true); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	var made kube.Object
	err = s.change(ctx, "patch", o.ref, func(ctx context.Context) (err error) {
		made, err = o.client.Patch(ctx, o.resource, o.ref.Namespace, o.ref.Name, body, opts)
		return err
	}, unknownOutcome)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return objectValue(b, o.resource, made)
}

func k8sDelete(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var kind, name, namespace, apiVersion string
	var owned, ignoreNotFound bool
	var opts kube.DeleteOptions
	var grace starlark.Value = starlark.None
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "kind", &kind, "name", &name, "namespace?", &namespace,
		"owned?", &owned, "uid?", &opts.UID, "ignore_not_found?", &ignoreNotFound, "grace_period?", &grace, "api_version?", &apiVersion); err != nil {
		return nil, err
	}
	if grace != starlark.None {
		var seconds int64
		if err := starlark.AsInt(grace, &seconds); err != nil || seconds < 0 {
			return nil, fmt.Errorf("%s: for parameter grace_period: got %s, want a number of whole seconds", b.Name(), grace)
		}
		opts.GraceSeconds = &seconds
	}
	ctx, s, err := writer(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	o, err := s.resolve(ctx, apiVersion, kind, name, namespace)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	deleted, err := s.delete(ctx, o, owned, opts)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	case !deleted && !ignoreNotFound:
		return nil, fmt.Errorf("%s: %w", b.Name(), notFound("delete", o))
	}
	return starlark.Bool(deleted), nil
}

// delete reports whether there was something to delete. It always looks first:
// the UID that it reads makes the delete hit this object and no namesake that
// comes after it, and absence is settled before it is believed.
func (s *Session) delete(ctx context.Context, o *object, owned bool, opts kube.DeleteOptions) (bool, error) {
	obj, err := s.get(ctx, o)
	if err != nil || obj == nil {
		return false, err
	}
	if owned {
		if ours, why := s.owned(obj); !ours {
			return false, &ConflictError{fmt.Sprintf("%s is not ours and was left alone: %s", o.ref.Text(), why)}
		}
	}
	uid := uidOf(obj)
	switch {
	case opts.UID == "":
		opts.UID = uid
	case opts.UID != uid:
		return false, &ConflictError{fmt.Sprintf("%s is another one than before and was left alone: its UID is %s, not %s", o.ref.Text(), uid, opts.UID)}
	}
	if s.Mode == Plan {
		s.plan("delete %s", o.ref.Text())
		return true, nil
	}
	err = s.change(ctx, "delete", o.ref, func(ctx context.Context) error {
		return o.client.Delete(ctx, o.resource, o.ref.Namespace, o.ref.Name, opts)
	}, unknownOutcome)
	if err != nil && !apierrors.IsNotFound(err) { // it may have gone between the look and the request
		return false, err
	}
	if s.Mode != Undo {
		return true, nil
	}
	// The name is free now for what was under way to create it.
	waited, err := s.settle(ctx, func(r Ref) bool { return r == o.ref }, false)
	if err != nil || !waited {
		return err == nil, err
	}
	again, err := s.get(ctx, o)
	if err != nil || again == nil || uidOf(again) == opts.UID { // it takes its time to go
		return err == nil, err
	}
	if ours, _ := s.owned(again); !ours {
		return true, nil
	}
	opts.UID = ""
	_, err = s.delete(ctx, o, owned, opts)
	return err == nil, err
}

func uidOf(obj kube.Object) string {
	meta, _ := obj["metadata"].(map[string]any)
	uid, _ := meta["uid"].(string)
	return uid
}

// notFound is the error that a request for o would have got.
func notFound(verb string, o *object) error {
	return &kube.Error{
		Verb: verb, Resource: o.resource.Plural, Namespace: o.ref.Namespace, Name: o.ref.Name,
		Err: apierrors.NewNotFound(runtimeschema.GroupResource{Group: o.resource.Group, Resource: o.resource.Plural}, o.ref.Name),
	}
}

// leaves prints the values of a patch, one "path = value" each.
func leaves(prefix string, v any) []string {
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 {
		if v == nil {
			return []string{"remove " + prefix}
		}
		return []string{fmt.Sprintf("%s = %v", prefix, v)}
	}
	var out []string
	for _, k := range sortedKeys(m) {
		path := k
		if prefix != "" {
			path = prefix + "." + k
		}
		out = append(out, leaves(path, m[k])...)
	}
	return out
}
