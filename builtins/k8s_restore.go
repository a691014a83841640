package builtins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/kube"
)

type restoreArgs struct {
	Snapshot snapshot `star:"snapshot"`
}

// snapshot is an object as k8s.get returned it.
type snapshot struct{ dict }

// Unpack implements starlark.Unpacker.
func (s *snapshot) Unpack(v starlark.Value) error {
	if d, ok := v.(*starlark.Dict); ok {
		kind, _, err := d.Get(starlark.String("kind"))
		if err == nil && kind == starlark.String("Secret") {
			return errors.New("a Secret can't be restored: scripts do not get its values, so its snapshot does not hold them")
		}
	}
	if err := s.dict.Unpack(v); err != nil {
		return err
	}
	return restorable(s.dict)
}

// restorable returns an error if an object could not be restored as it was: other things are
// deleted with it, or it would do its work again.
func restorable(obj map[string]any) error {
	ended := func() bool {
		conditions, _ := nested(obj, "status")["conditions"].([]any)
		for _, x := range conditions {
			c, _ := x.(map[string]any)
			if c["status"] == "True" && (c["type"] == "Complete" || c["type"] == "Failed") {
				return true
			}
		}
		phase := nested(obj, "status")["phase"]
		return phase == "Succeeded" || phase == "Failed"
	}
	switch kind := obj["kind"]; {
	case kind == "Namespace":
		return errors.New("a Namespace can't be restored: all that was in it is deleted with it")
	case kind == "CustomResourceDefinition":
		return errors.New("a CustomResourceDefinition can't be restored: all objects of the kind are deleted with it")
	case kind == "StatefulSet" && nested(obj, "spec", "persistentVolumeClaimRetentionPolicy")["whenDeleted"] == "Delete":
		return errors.New("this StatefulSet can't be restored: its claims are deleted with it, and their data (persistentVolumeClaimRetentionPolicy.whenDeleted is Delete)")
	case (kind == "Job" || kind == "Pod") && ended():
		return fmt.Errorf("a %s that has ended can't be restored: it would run again", kind)
	}
	return nil
}

// k8sRestore creates an object again as it was, to undo a delete.
func k8sRestore(c *call, a *restoreArgs) (starlark.Value, error) {
	o, err := c.manifest(c.ctx, kube.Object(a.Snapshot.dict))
	if err != nil {
		return nil, err
	}
	want := asItWas(a.Snapshot.dict)
	there, err := c.get(c.ctx, o)
	if err != nil {
		return nil, err
	}
	if there != nil {
		differs := differences("", withoutControllers(want), withoutControllers(asItWas(there)))
		switch {
		case nested(there, "metadata")["deletionTimestamp"] != nil:
			return nil, &TimeoutError{fmt.Sprintf("%s is still being deleted: wait until it is gone, and restore it then", o.ref.Text())}
		case len(differs) == 0:
			return starlark.False, nil
		}
		return nil, &ConflictError{Message: fmt.Sprintf("%s is there again and was left alone: it is not as it was in %s", o.ref.Text(), strings.Join(differs, ", "))}
	}
	if err := c.livingOwners(want, o.ref.Namespace); err != nil {
		return nil, err
	}
	if err := c.volumeOf(a.Snapshot.dict, o); err != nil {
		return nil, err
	}
	made, err := c.write(o, intent{
		verb: "create", text: "restore " + o.ref.Text(),
		local: func(kube.Object) kube.Object { return want },
		send: func(ctx context.Context) (kube.Object, error) {
			return o.client.Create(ctx, o.resource, o.ref.Namespace, want)
		},
	})
	if err != nil {
		return nil, err
	}
	if differs := differences("", withoutControllers(want), withoutControllers(asItWas(made))); len(differs) > 0 {
		return nil, &ConflictError{Message: fmt.Sprintf("%s was created again, but the cluster made it differ from what it was in %s", o.ref.Text(), strings.Join(differs, ", "))}
	}
	return starlark.True, nil
}

// asItWas returns a snapshot without the fields that only the server can set.
func asItWas(obj map[string]any) kube.Object {
	out := maps.Clone(obj)
	delete(out, "status")
	meta := maps.Clone(nested(obj, "metadata"))
	for _, key := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"} {
		delete(meta, key)
	}
	if annotations := maps.Clone(nested(meta, "annotations")); annotations != nil {
		// They say that the old claim is bound. The controller has to bind the new one.
		delete(annotations, "pv.kubernetes.io/bind-completed")
		delete(annotations, "pv.kubernetes.io/bound-by-controller")
		meta["annotations"] = annotations
	}
	out["metadata"] = meta
	if spec := maps.Clone(nested(obj, "spec")); obj["kind"] == "Job" && spec["manualSelector"] != true && spec != nil {
		// The server generates the selector of a job from its UID.
		delete(spec, "selector")
		if labels := maps.Clone(nested(spec, "template", "metadata", "labels")); labels != nil {
			delete(labels, "controller-uid")
			delete(labels, "batch.kubernetes.io/controller-uid")
			template := maps.Clone(nested(spec, "template"))
			templateMeta := maps.Clone(nested(template, "metadata"))
			templateMeta["labels"], template["metadata"], spec["template"] = labels, templateMeta, template
		}
		out["spec"] = spec
	}
	return out
}

// withoutControllers removes what controllers write into an object, and its owners, which may be
// gone.
func withoutControllers(obj kube.Object) map[string]any {
	out, meta := maps.Clone(obj), maps.Clone(nested(obj, "metadata"))
	delete(meta, "ownerReferences")
	delete(meta, "finalizers")
	annotations := maps.Clone(nested(meta, "annotations"))
	delete(annotations, "deployment.kubernetes.io/revision")
	delete(meta, "annotations")
	if len(annotations) > 0 {
		meta["annotations"] = annotations
	}
	out["metadata"] = meta
	return out
}

// differences returns the paths at which two values differ. An empty value equals a missing one.
func differences(path string, a, b any) []string {
	x, xok := a.(map[string]any)
	y, yok := b.(map[string]any)
	switch {
	case isEmpty(a) && isEmpty(b), reflect.DeepEqual(a, b):
		return nil
	case !xok || !yok:
		return []string{path}
	}
	all := maps.Clone(x)
	maps.Copy(all, y)
	var found []string
	for _, key := range sortedKeys(all) {
		step := key
		if path != "" {
			step = path + "." + key
		}
		found = append(found, differences(step, x[key], y[key])...)
	}
	return found
}

func isEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// livingOwners removes owners that are gone, because the garbage collector would delete the object
// with them.
func (c *call) livingOwners(obj kube.Object, namespace string) error {
	meta := nested(obj, "metadata")
	owners, ok := meta["ownerReferences"].([]any)
	if !ok {
		return nil
	}
	living := []any{}
	for _, x := range owners {
		owner, _ := x.(map[string]any)
		apiVersion, _ := owner["apiVersion"].(string)
		kind, _ := owner["kind"].(string)
		name, _ := owner["name"].(string)
		client, err := c.cluster(c.ctx)
		if err != nil {
			return err
		}
		resource, err := client.Resolve(c.ctx, apiVersion, kind)
		if err != nil {
			return fmt.Errorf("owner %s %q: %w", kind, name, err)
		}
		where := ""
		if resource.Namespaced {
			where = namespace
		}
		there, err := c.get(c.ctx, &object{client, resource, Ref{Kind: kind, Name: name, Namespace: where}})
		if err != nil {
			return fmt.Errorf("owner %s %q: %w", kind, name, err)
		}
		if there != nil && uidOf(there) == owner["uid"] {
			living = append(living, x)
		}
	}
	delete(meta, "ownerReferences")
	if len(living) > 0 {
		meta["ownerReferences"] = living
	}
	return nil
}

// volumeOf returns an error for a claim that can't get its volume back: the new claim would get
// another volume, or none.
func (c *call) volumeOf(snapshot map[string]any, claim *object) error {
	volume, _ := nested(snapshot, "spec")["volumeName"].(string)
	if claim.resource.Kind != "PersistentVolumeClaim" || volume == "" {
		return nil
	}
	o, err := c.resolve(c.ctx, "v1", "PersistentVolume", volume, "")
	if err != nil {
		return err
	}
	there, err := c.get(c.ctx, o)
	if err != nil {
		return err
	}
	if there == nil {
		return &ConflictError{Message: fmt.Sprintf("%s can't be restored: its volume %q was deleted, and the data with it", claim.ref.Text(), volume)}
	}
	if owner, _ := nested(there, "spec", "claimRef")["uid"].(string); owner != "" {
		return &ConflictError{Message: fmt.Sprintf("%s can't be restored: its volume %q still belongs to the claim with UID %s: take spec.claimRef.uid out of it, and replay again", claim.ref.Text(), volume, owner)}
	}
	return nil
}
