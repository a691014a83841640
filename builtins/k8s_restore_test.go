package builtins_test

import (
	"bytes"
	"encoding/json"
	"io"
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
	h := newHost(t, builtins.Undo, sandboxtest.Kubeconfig(t))
	h.make(t, secrets, kube.Object{"metadata": map[string]any{"name": "a"}, "stringData": map[string]any{"k": "v"}})
	h.wantError(t, `def main(): k8s.restore(k8s.get("Secret", "a", NS))`, "a Secret can't be restored: scripts do not get its values")

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
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	h := newHost(t, builtins.Run, kubeconfig)
	proxy.Handle(func(r *http.Request) sandboxtest.Fault {
		if r.Method != http.MethodPost {
			return sandboxtest.Pass
		}
		return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			body, err := io.ReadAll(r.Body)
			var obj map[string]any
			if err == nil {
				err = json.Unmarshal(body, &obj)
			}
			if err != nil {
				t.Error(err)
			}
			delete(obj["metadata"].(map[string]any), "labels")
			body, err = json.Marshal(obj)
			if err != nil {
				t.Error(err)
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			forward.ServeHTTP(w, r)
		}
	})
	h.wantError(t, "def main():\n    record_undo(\"a\")\n    k8s.create(config_map(\"a\"))", "was created without our labels")
	if h.exists(t, "a") {
		t.Error("what no undo would delete is still there")
	}
}
