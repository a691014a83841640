package builtins_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

var (
	services    = kube.Resource{Version: "v1", Kind: "Service", Plural: "services", Namespaced: true}
	deployments = kube.Resource{Group: "apps", Version: "v1", Kind: "Deployment", Plural: "deployments", Namespaced: true}
	claims      = kube.Resource{Version: "v1", Kind: "PersistentVolumeClaim", Plural: "persistentvolumeclaims", Namespaced: true}
)

// make creates an object as somebody else would, and returns it.
func (h *host) make(t *testing.T, r kube.Resource, obj kube.Object) kube.Object {
	t.Helper()
	obj["apiVersion"], obj["kind"] = strings.TrimPrefix(r.Group+"/"+r.Version, "/"), r.Kind
	obj["metadata"].(map[string]any)["namespace"] = h.namespace
	made, err := h.client.Create(t.Context(), r, h.namespace, obj)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

const deleteAndRestore = `
def main():
    before = k8s.get(KIND, "a", NS)
    k8s.delete(KIND, "a", NS, grace_period = 0)
    k8s.wait(KIND, "a", NS, until = lambda x: x == None)
    again = [k8s.restore(before), k8s.restore(before)]
    return again
`

func TestRestore(t *testing.T) {
	t.Parallel()
	labels := map[string]any{"app": "a"}
	for name, c := range map[string]struct {
		resource kube.Resource
		object   kube.Object
	}{
		"a config map": {configMaps, kube.Object{"metadata": map[string]any{"name": "a", "labels": labels, "annotations": map[string]any{"x": "y"}}, "data": map[string]any{"k": "v"}}},
		"a service": {services, kube.Object{"metadata": map[string]any{"name": "a"}, "spec": map[string]any{
			"type": "NodePort", "selector": labels, "ports": []any{map[string]any{"port": int64(80)}},
		}}},
		"a deployment": {deployments, kube.Object{"metadata": map[string]any{"name": "a"}, "spec": map[string]any{
			"replicas": int64(0), "selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{
				"containers": []any{map[string]any{"name": "c", "image": "registry.k8s.io/pause:3.10"}},
			}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, builtins.Undo, sandboxtest.Kubeconfig(t))
			before := h.make(t, c.resource, c.object)
			v := h.mustRun(t, strings.ReplaceAll(deleteAndRestore, "KIND", `"`+c.resource.Kind+`"`))
			if v.String() != "[True, False]" {
				t.Errorf("got %v, want True, and False when it is there", v)
			}
			after, err := h.client.Get(t.Context(), c.resource, h.namespace, "a")
			if err != nil {
				t.Fatal(err)
			}
			meta := func(o kube.Object, key string) any { return o["metadata"].(map[string]any)[key] }
			if meta(before, "uid") == meta(after, "uid") {
				t.Error("it was never deleted")
			}
			if !reflect.DeepEqual(before["spec"], after["spec"]) || !reflect.DeepEqual(before["data"], after["data"]) || !reflect.DeepEqual(meta(before, "labels"), meta(after, "labels")) {
				t.Errorf("before %v\nafter  %v", before, after)
			}
		})
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Undo, sandboxtest.Kubeconfig(t))
	h.make(t, secrets, kube.Object{"metadata": map[string]any{"name": "a"}, "stringData": map[string]any{"k": "v"}})
	h.wantError(t, `def main(): k8s.restore(k8s.get("Secret", "a", NS))`, "a Secret can't be restored: scripts do not get its values")
	h.wantError(t, `def main(): k8s.restore(k8s.get("Namespace", NS))`, "a Namespace can't be restored: all that was in it is deleted with it")
	for object, want := range map[string]string{
		`{"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1", "metadata": {"name": "a.b"}}`:                                               "all objects of the kind are deleted with it",
		`{"kind": "StatefulSet", "apiVersion": "apps/v1", "metadata": {"name": "a"}, "spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}}`: "its claims are deleted with it, and their data",
		`{"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": "a"}, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}`:                 "a Job that has ended can't be restored: it would run again",
		`{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}, "status": {"phase": "Succeeded"}}`:                                                         "a Pod that has ended can't be restored: it would run again",
	} {
		h.wantError(t, "def main(): k8s.restore("+object+")", want)
	}

	// Somebody made another one meanwhile.
	h.make(t, configMaps, kube.Object{"metadata": map[string]any{"name": "a"}, "data": map[string]any{"k": "theirs"}})
	h.wantError(t, `
def main():
    o = dict(k8s.get("ConfigMap", "a", NS))
    o["data"] = {"k": "ours"}
    k8s.restore(o)
`, "is there again and was left alone: it is not as it was in data.k")

	// An owner that is gone would have the garbage collector delete what was restored.
	v := h.mustRun(t, `
def main():
    owner = k8s.get("ConfigMap", "a", NS)
    living = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": owner["metadata"]["uid"]}
    gone = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "0d6a7b4e-0000-0000-0000-000000000000"}
    o = config_map("b")
    o["metadata"]["ownerReferences"] = [living, gone]
    k8s.restore(o)
    return [x["uid"] == living["uid"] for x in k8s.get("ConfigMap", "b", NS)["metadata"]["ownerReferences"]]
`)
	if v.String() != "[True]" {
		t.Errorf("got owners %v, want the living one", v)
	}
	h.wantError(t, `
def main():
    k8s.restore({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": NS}, "spec": {"volumeName": "gone-" + NS}})
`, "its volume \"gone-"+h.namespace+"\" was deleted, and the data with it")
	if _, err := h.client.Get(t.Context(), claims, h.namespace, "c"); err == nil {
		t.Error("the claim was created")
	}
}

// TestRestoreNeedsRef wants restore to be a change like the others.
func TestRestoreNeedsRef(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	h.wantError(t, `def main(): k8s.restore(config_map("a"))`, "has no rollback that was flushed")
	h.mustRun(t, "def main():\n    record_undo(\"a\")\n    k8s.restore(config_map(\"a\"))")
	h.Session.Mode = builtins.Plan
	if v := h.mustRun(t, `def main(): return k8s.restore(config_map("b"))`); v != starlark.True || h.exists(t, "b") {
		t.Errorf("a plan: got %v; exists: %v", v, h.exists(t, "b"))
	}
}

// TestStrippedLabels creates something where a policy removes our labels.
func TestStrippedLabels(t *testing.T) {
	t.Parallel()
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	for what, edit := range map[string]func(meta map[string]any){
		"removed":   func(meta map[string]any) { delete(meta, "labels") },
		"of others": func(meta map[string]any) { meta["labels"] = map[string]any{"team": "a"} },
		"changed":   func(meta map[string]any) { meta["labels"].(map[string]any)[builtins.LabelRunUUID] = "another" },
	} {
		h := newHost(t, builtins.Run, kubeconfig)
		webhook := sandboxtest.Webhook("/configmaps", func(object map[string]any) { edit(object["metadata"].(map[string]any)) })
		proxy.Handle(func(*http.Request) sandboxtest.Fault { return webhook })
		h.wantError(t, "def main():\n    record_undo(\"a\")\n    k8s.create(config_map(\"a\"))", "was created without our labels")
		if h.exists(t, "a") {
			t.Errorf("%s: what no undo would delete is still there", what)
		}
	}
}

// TestForeignFinalizers wants to hear of what keeps an object that its undo has deleted.
func TestForeignFinalizers(t *testing.T) {
	t.Parallel()
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	h := newHost(t, builtins.Run, kubeconfig)
	webhook := sandboxtest.Webhook("/configmaps", func(object map[string]any) {
		object["metadata"].(map[string]any)["finalizers"] = []any{"example.com/hold"}
	})
	proxy.Handle(func(*http.Request) sandboxtest.Fault { return webhook })
	var said bytes.Buffer
	h.Log = slog.New(slog.NewTextHandler(&said, nil))
	h.mustRun(t, "def main():\n    record_undo(\"a\")\n    k8s.create(config_map(\"a\"))")
	if !strings.Contains(said.String(), `was created with the finalizer(s) example.com/hold`) {
		t.Errorf("got the log %q, want to hear of the finalizer", said.String())
	}
	if _, err := h.client.Patch(t.Context(), configMaps, h.namespace, "a", kube.Object{"metadata": kube.Object{"finalizers": nil}}, kube.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}
