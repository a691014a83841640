package snapshot

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// object is one object without what tells it from one that is made anew.
type object struct {
	kind, namespace string
	name            string            // "" for what has a name by chance
	owner           string            // of that: what made it
	values          map[string]string // by path
	text            string            // all of them
}

func (o object) String() string {
	name := o.name
	if name == "" {
		name = "of " + o.owner
	}
	if o.namespace == "" {
		return o.kind + " " + name
	}
	if o.name == "" {
		return o.kind + " " + name + " in " + o.namespace
	}
	return o.kind + " " + o.namespace + "/" + name
}

// What admission calls the volume of a token: letters by chance.
var tokenVolume = lazyregexp.New(`kube-api-access-[a-z0-9]{5}`)

// Annotations that controllers count in, or put times into.
var passing = []string{
	"deployment.kubernetes.io/revision", "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas",
	"endpoints.kubernetes.io/last-change-trigger-time", "control-plane.alpha.kubernetes.io/leader",
	"autoscaling.alpha.kubernetes.io/conditions", "autoscaling.alpha.kubernetes.io/current-metrics",
}

// look makes an object comparable. ok is false for one that says nothing: a ReplicaSet that a
// Deployment keeps of an earlier revision.
func look(r kube.Resource, o kube.Object) (seen object, ok bool) {
	meta := kube.Meta(o)
	seen = object{kind: r.Kind, namespace: meta.GetNamespace(), name: meta.GetName()}
	o = copied(o)
	m, _ := o["metadata"].(map[string]any)
	byChance := m["generateName"] != nil
	uid := ""
	for _, owner := range meta.GetOwnerReferences() {
		if owner.Controller == nil || !*owner.Controller {
			continue
		}
		uid, seen.owner = string(owner.UID), owner.Kind+" "+owner.Name
		byChance = owner.Kind != "StatefulSet"
	}
	// What is of another type than Kubernetes has it is as good as missing, here and below.
	if replicas, found, _ := unstructured.NestedInt64(o, "spec", "replicas"); found && replicas == 0 && r.Kind == "ReplicaSet" && uid != "" {
		return seen, false
	}
	m["deleting"] = meta.GetDeletionTimestamp() != nil
	for _, key := range []string{"creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "managedFields", "resourceVersion", "selfLink", "uid"} {
		delete(m, key)
	}
	for _, key := range passing {
		unstructured.RemoveNestedField(o, "metadata", "annotations", key)
	}
	withoutUIDs(m, uid)
	o["status"] = state(o)
	if byChance && r.Kind == "Pod" || seen.owner != "" {
		unstructured.RemoveNestedField(o, "spec", "nodeName")
	}
	if byChance {
		if seen.name = ""; seen.owner == "" {
			seen.owner = meta.GetGenerateName() + "*"
		}
		delete(m, "name")
	}
	if r.Kind == "Secret" {
		hide(o)
	}
	seen.values = map[string]string{}
	flatten(seen.values, "", o)
	seen.text = textOf(seen.values)
	return seen, true
}

// copied is a deep copy.
func copied(o kube.Object) kube.Object {
	return (&unstructured.Unstructured{Object: o}).DeepCopy().Object
}

// withoutUIDs removes the UIDs of owners, also where they stand in labels, as those of Jobs do, and
// what says on which node a pod is.
func withoutUIDs(m map[string]any, uid string) {
	owners, _ := m["ownerReferences"].([]any)
	for _, owner := range owners {
		if owner, ok := owner.(map[string]any); ok {
			delete(owner, "uid")
		}
	}
	labels, _ := m["labels"].(map[string]any)
	for key, value := range labels {
		if value == uid && uid != "" || strings.HasPrefix(key, "topology.kubernetes.io/") && uid != "" {
			delete(labels, key)
		}
	}
}

// state is what of a status tells whether an object works.
func state(o kube.Object) map[string]any {
	phase, _, _ := unstructured.NestedString(o, "status", "phase")
	short := map[string]any{}
	if phase != "" {
		short["phase"] = phase
	}
	conditions, _, _ := unstructured.NestedSlice(o, "status", "conditions")
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["type"] == "Ready" {
			short["ready"] = condition["status"]
		}
	}
	return short
}

// hide replaces the values of a Secret by their sums.
func hide(o kube.Object) {
	for _, key := range []string{"data", "stringData"} {
		values, _ := o[key].(map[string]any)
		for name, value := range values {
			values[name] = fmt.Sprintf("sha256 %x", sha256.Sum256(fmt.Append(nil, value)))
		}
	}
	const applied = "kubectl.kubernetes.io/last-applied-configuration"
	if text, found, _ := unstructured.NestedString(o, "metadata", "annotations", applied); found {
		// No error: the annotation was read just now, so the maps above it exist.
		_ = unstructured.SetNestedField(o, fmt.Sprintf("sha256 %x", sha256.Sum256([]byte(text))), "metadata", "annotations", applied)
	}
}

// flatten writes the leaves of a value by their paths.
func flatten(into map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			flatten(into, strings.TrimPrefix(path+"."+key, "."), item)
		}
	case []any:
		for i, item := range v {
			flatten(into, path+"["+strconv.Itoa(i)+"]", item)
		}
	default:
		text, err := json.Marshal(v)
		if err != nil {
			text = fmt.Append(nil, v)
		}
		into[path] = tokenVolume.ReplaceAllString(string(text), "kube-api-access")
	}
}

func textOf(values map[string]string) string {
	lines := make([]string, 0, len(values))
	for path, value := range values {
		lines = append(lines, path+" = "+value)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// changes are the fields in which an object differs from what it was.
func (o object) changes(now object) []string {
	paths := map[string]bool{}
	for path := range o.values {
		paths[path] = true
	}
	for path := range now.values {
		paths[path] = true
	}
	var all []string
	for path := range paths {
		before, was := o.values[path]
		after, is := now.values[path]
		// What stands in an environment may be a password.
		hidden := strings.Contains(path, "env[") || o.kind == "Secret"
		switch {
		case was && is && before == after:
		case hidden:
			all = append(all, path+" differs")
		case !was:
			all = append(all, fmt.Sprintf("%s: nothing before, now %s", path, after))
		case !is:
			all = append(all, fmt.Sprintf("%s: %s before, now nothing", path, before))
		default:
			all = append(all, fmt.Sprintf("%s: %s before, now %s", path, before, after))
		}
	}
	slices.Sort(all)
	return all
}
