package builtins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// unknownOutcome reports whether it is unknown if a request was carried out.
func unknownOutcome(err error) bool {
	var u *kube.UnknownOutcomeError
	return errors.As(err, &u)
}

// manifest resolves the object that a script wants to create.
func (s *Session) manifest(ctx context.Context, obj kube.Object) (*object, error) {
	apiVersion, kind, name := text(obj, "apiVersion"), text(obj, "kind"), text(obj, "metadata", "name")
	switch {
	case apiVersion == "" || kind == "":
		return nil, errors.New(`for parameter object: "apiVersion" and "kind" must be given, as strings`)
	case name == "" && nested(obj, "metadata")["generateName"] != nil:
		return nil, errors.New("for parameter object: generateName can't be used, since an undo must know the name before the object exists: use random_name")
	case name == "":
		return nil, errors.New(`for parameter object: "metadata.name" must be given, as a string`)
	}
	return s.resolve(ctx, apiVersion, kind, name, text(obj, "metadata", "namespace"))
}

// text returns the string at a path. It is "" if there is no string: a value of another type is as good
// as missing.
func text(obj map[string]any, path ...string) string {
	value, _, _ := unstructured.NestedString(obj, path...)
	return value
}

// nested returns the map at a path. It is nil if there is no map, likewise.
func nested(obj map[string]any, path ...string) map[string]any {
	value, _, _ := unstructured.NestedFieldNoCopy(obj, path...)
	m, _ := value.(map[string]any)
	return m
}

// own sets the labels of the run on obj and on the pod templates in it.
func (s *Session) own(obj kube.Object) {
	for _, path := range [][]string{{}, {"spec", "template"}, {"spec", "jobTemplate"}, {"spec", "jobTemplate", "spec", "template"}} {
		if part := nested(obj, path...); part != nil {
			labels := child(child(part, "metadata"), "labels")
			labels[LabelRunUUID] = s.RunUUID
			labels[LabelScenarioType] = s.ScenarioType
		}
	}
}

// child returns the map at key, which it creates if there is none.
func child(m map[string]any, key string) map[string]any {
	c, ok := m[key].(map[string]any)
	if !ok {
		c = map[string]any{}
		m[key] = c
	}
	return c
}

// owned reports whether obj has the labels of this run. A hand-written version file names no run:
// then the labels of any run are enough.
func (s *Session) owned(obj kube.Object) (bool, string) {
	run, ok := nested(obj, "metadata", "labels")[LabelRunUUID].(string)
	switch {
	case !ok:
		return false, "it does not carry the label " + LabelRunUUID
	case s.RunUUID != "" && run != s.RunUUID:
		return false, fmt.Sprintf("its label %s is %q, not %q", LabelRunUUID, run, s.RunUUID)
	}
	return true, ""
}

type createArgs struct {
	Object dict `star:"object"`
}

func k8sCreate(c *call, a *createArgs) (starlark.Value, error) {
	o, err := c.manifest(c.ctx, a.Object)
	if err != nil {
		return nil, err
	}
	c.own(a.Object)
	made, err := c.write(o, intent{
		verb: "create", text: "create " + o.ref.Text(),
		local: func(kube.Object) kube.Object { return a.Object },
		send: func(ctx context.Context) (kube.Object, error) {
			return o.client.Create(ctx, o.resource, o.ref.Namespace, a.Object)
		},
	})
	if err != nil {
		return nil, err
	}
	if ours, why := c.owned(made); !ours && c.Mode != Plan {
		return nil, c.takeBack(o, made, why)
	}
	if added := foreignFinalizers(made, a.Object); len(added) > 0 && c.Mode != Plan {
		c.Log.Warn(fmt.Sprintf("%s was created with the finalizer(s) %s, which a webhook of the cluster must have added: once it is deleted, it stays until they are taken out", o.ref.Text(), strings.Join(added, ", ")))
	}
	return objectValue(o.resource, made)
}

// foreignFinalizers returns the finalizers of an object that were not in the request.
func foreignFinalizers(made, asked kube.Object) []string {
	return slices.DeleteFunc(kube.Meta(made).GetFinalizers(), func(f string) bool {
		return slices.Contains(kube.Meta(asked).GetFinalizers(), f)
	})
}

// takeBack deletes an object at once that was created without the labels of the run, because an
// undo would not recognize it.
func (c *call) takeBack(o *object, made kube.Object, why string) error {
	c.grantChange([]Ref{o.ref}) // the rollback of the create also covers this delete
	err := c.change(c.ctx, "delete", o.ref, func(ctx context.Context) error {
		return o.client.Delete(ctx, o.resource, o.ref.Namespace, o.ref.Name, kube.DeleteOptions{UID: uidOf(made)})
	}, unknownOutcome)
	text := fmt.Sprintf("%s was created without our labels (%s), which a policy of the cluster must have removed, so no undo could tell it for ours", o.ref.Text(), why)
	if err != nil {
		return fmt.Errorf("%s; it could not be deleted either: %w", text, err)
	}
	return &ConflictError{Message: text + "; it was deleted again"}
}

type applyArgs struct {
	Object dict `star:"object"`
	Force  bool `star:"force?"`
}

func k8sApply(c *call, a *applyArgs) (starlark.Value, error) {
	o, err := c.manifest(c.ctx, a.Object)
	if err != nil {
		return nil, err
	}
	made, err := c.write(o, intent{
		verb: "apply", text: "apply " + o.ref.Text(),
		local: func(before kube.Object) kube.Object { return merge(before, kube.Object(a.Object)) },
		send: func(ctx context.Context) (kube.Object, error) {
			return o.client.Apply(ctx, o.resource, o.ref.Namespace, o.ref.Name, a.Object, "ebb", a.Force)
		},
	})
	if err != nil {
		return nil, err
	}
	return objectValue(o.resource, made)
}

// write makes a change whose answer is an object or, in a plan, records it.
func (c *call) write(o *object, i intent) (made kube.Object, err error) {
	if c.Mode == Plan {
		return c.planObject(c.ctx, o, i)
	}
	if i.verb != "create" {
		if _, err := c.settle(c.ctx, func(r Ref) bool { return r == o.ref }, true); err != nil {
			return nil, err
		}
	}
	if _, ok := c.expected(o.ref); ok {
		obj, err := c.get(c.ctx, o)
		if err == nil {
			err = c.asShown(o.ref, obj)
		}
		if err != nil {
			return nil, err
		}
	}
	err = c.change(c.ctx, i.verb, o.ref, func(ctx context.Context) (err error) {
		if made, err = i.send(ctx); err == nil {
			c.identify(o, made)
		}
		return err
	}, unknownOutcome)
	return made, err
}

type patchArgs struct {
	Kind            string `star:"kind"`
	Name            string `star:"name"`
	Patch           dict   `star:"patch"`
	Namespace       string `star:"namespace?"`
	UID             string `star:"uid?"`
	ResourceVersion string `star:"resource_version?"`
	APIVersion      string `star:"api_version?"`
}

func k8sPatch(c *call, a *patchArgs) (starlark.Value, error) {
	o, err := c.resolve(c.ctx, a.APIVersion, a.Kind, a.Name, a.Namespace)
	if err != nil {
		return nil, err
	}
	if version, ok := c.expected(o.ref); ok && a.ResourceVersion == "" {
		a.ResourceVersion = version
	}
	patch := kube.Object(a.Patch)
	values := leaves("", withoutEnvironment(withoutSecrets(o.resource, patch)))
	made, err := c.write(o, intent{
		verb: "patch", text: fmt.Sprintf("patch %s: %s", o.ref.Text(), strings.Join(values, ", ")),
		local: func(before kube.Object) kube.Object { return merge(before, patch) },
		send: func(ctx context.Context) (kube.Object, error) {
			return o.client.Patch(ctx, o.resource, o.ref.Namespace, o.ref.Name, patch, kube.PatchOptions{UID: a.UID, ResourceVersion: a.ResourceVersion})
		},
	})
	if err != nil {
		return nil, err
	}
	return objectValue(o.resource, made)
}

type deleteArgs struct {
	Kind           string       `star:"kind"`
	Name           string       `star:"name"`
	Namespace      string       `star:"namespace?"`
	Owned          bool         `star:"owned?"`
	UID            string       `star:"uid?"`
	IgnoreNotFound bool         `star:"ignore_not_found?"`
	GracePeriod    wholeSeconds `star:"grace_period??"`
	APIVersion     string       `star:"api_version?"`
}

func k8sDelete(c *call, a *deleteArgs) (starlark.Value, error) {
	o, err := c.resolve(c.ctx, a.APIVersion, a.Kind, a.Name, a.Namespace)
	if err != nil {
		return nil, err
	}
	deleted, err := c.delete(c.ctx, o, a.Owned, kube.DeleteOptions{UID: a.UID, GraceSeconds: a.GracePeriod.int64})
	if err == nil && !deleted && !a.IgnoreNotFound {
		err = notFound("delete", o)
	}
	return starlark.Bool(deleted), err
}

// delete deletes an object, and returns false if there was none. It always reads the object first.
// The delete names the UID that it read, so it can't delete a later object of the same name. An
// absence counts only when no create can be under way.
func (s *Session) delete(ctx context.Context, o *object, owned bool, opts kube.DeleteOptions) (bool, error) {
	obj, err := s.get(ctx, o)
	if err != nil || obj == nil {
		return false, err
	}
	if owned {
		if ours, why := s.owned(obj); !ours {
			if err := s.takeOver(ctx, fmt.Sprintf("%s is not ours: %s", o.ref.Text(), why), fmt.Sprintf("%s is not ours and was left alone: %s", o.ref.Text(), why)); err != nil {
				return false, err
			}
		}
	}
	if err := s.asShown(o.ref, obj); err != nil {
		return false, err
	}
	if version, ok := s.expected(o.ref); ok {
		opts.ResourceVersion = version
	}
	uid := uidOf(obj)
	if opts.UID != "" && opts.UID != uid {
		other := fmt.Sprintf("%s is another one than before", o.ref.Text())
		if err := s.takeOver(ctx, other, fmt.Sprintf("%s and was left alone: its UID is %s, not %s", other, uid, opts.UID)); err != nil {
			return false, err
		}
	}
	opts.UID = uid
	removed := false
	send := func(ctx context.Context) (err error) {
		removed, err = o.client.Remove(ctx, o.resource, o.ref.Namespace, o.ref.Name, opts)
		return err
	}
	if s.Mode == Plan {
		_, err := s.planObject(ctx, o, intent{
			verb: "delete", text: "delete " + o.ref.Text(), before: obj,
			local: func(kube.Object) kube.Object { return nil },
			send:  func(ctx context.Context) (kube.Object, error) { return nil, send(ctx) },
		})
		return err == nil, err
	}
	err = s.change(ctx, "delete", o.ref, send, unknownOutcome)
	if err != nil && !apierrors.IsNotFound(err) { // it may have disappeared between the read and the delete
		return false, err
	}
	if s.Mode != Undo {
		return true, nil
	}
	// The name is free now: a create that was under way may succeed.
	waited, err := s.settle(ctx, func(r Ref) bool { return r == o.ref }, false)
	if err != nil || !waited {
		if err == nil && removed {
			s.noteAbsent(o.ref)
		}
		return err == nil, err
	}
	again, err := s.get(ctx, o)
	if err != nil || again == nil || uidOf(again) == opts.UID { // it is still being deleted
		return err == nil, err
	}
	if ours, _ := s.owned(again); !ours {
		return true, nil
	}
	opts.UID = ""
	_, err = s.delete(ctx, o, owned, opts)
	return err == nil, err
}

func uidOf(obj kube.Object) string { return text(obj, "metadata", "uid") }

// notFound is the error that a request for o would get.
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
