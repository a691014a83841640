package builtins_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// A plan is what the API server would do: it refuses what a replay would be refused, and what comes
// after a planned change sees it.
func TestPlanAsksTheServer(t *testing.T) {
	t.Parallel()
	kubeconfig := sandboxtest.Kubeconfig(t)
	t.Run("refused", func(t *testing.T) {
		for call, want := range map[string]string{
			`k8s.patch("ConfigMap", "gone", {"data": {"a": "b"}}, NS)`:                                                                             "not found (404)",
			`k8s.patch("ConfigMap", "there", {"data": {"a": "b"}}, NS, uid = "00000000-0000-0000-0000-000000000000")`:                              "UID",
			`k8s.patch("ConfigMap", "there", {"data": {"a": 1}}, NS)`:                                                                              "is invalid",
			`k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there", "namespace": NS}})`:                                "already exists",
			`k8s.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": NS}, "spec": {"containers": [{"name": "c"}]}})`: "image",
		} {
			h := newHost(t, builtins.Plan, kubeconfig)
			h.create(t, "there", nil)
			if err := h.wantError(t, "def main(): "+call, want); err != nil && len(h.Planned()) != 0 {
				t.Errorf("%s: planned %q although it is refused", call, texts(h.Planned()))
			}
		}
	})
	// Each verb by itself, so that the server is asked: none of them may change anything.
	t.Run("changes nothing", func(t *testing.T) {
		for _, call := range []string{
			`k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "namespace": NS}})`,
			`k8s.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "namespace": NS}})`,
			`k8s.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there", "namespace": NS}, "data": {"a": "b"}})`,
			`k8s.patch("ConfigMap", "there", {"data": {"a": "b"}}, NS)`,
			`k8s.delete("ConfigMap", "there", NS)`,
			`k8s.delete("ConfigMap", "there", NS, grace_period = 0)`,
		} {
			h := newHost(t, builtins.Plan, kubeconfig)
			h.create(t, "there", nil)
			before := h.get(t, "there")
			h.mustRun(t, "def main(): "+call)
			if after := h.get(t, "there"); !reflect.DeepEqual(before, after) || h.exists(t, "new") {
				t.Errorf("%s: changed %v to %v; new is there: %v", call, before, after, h.exists(t, "new"))
			}
			if len(h.Planned()) != 1 {
				t.Errorf("%s: planned %q", call, texts(h.Planned()))
			}
		}
	})
	t.Run("seen", func(t *testing.T) {
		h := newHost(t, builtins.Plan, kubeconfig)
		h.create(t, "there", nil)
		h.mustRun(t, `
def main():
    k8s.patch("ConfigMap", "there", {"data": {"a": "b"}}, NS)
    if k8s.get("ConfigMap", "there", NS)["data"]["a"] != "b":
        fail("a planned patch is not seen")
    k8s.patch("ConfigMap", "there", {"data": {"a": None, "c": "d"}}, NS)
    if k8s.get("ConfigMap", "there", NS)["data"] != {"c": "d"}:
        fail("a second planned patch is not seen: %s" % k8s.get("ConfigMap", "there", NS)["data"])
    k8s.delete("ConfigMap", "there", NS)
    if k8s.get("ConfigMap", "there", NS) != None or [m for m in k8s.list("ConfigMap", NS) if m["metadata"]["name"] == "there"]:
        fail("a planned delete is not seen")
    k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there", "namespace": NS}})
    if k8s.get("ConfigMap", "there", NS) == None:
        fail("a planned create is not seen")
`)
		var verbs []string
		for _, c := range h.Planned() {
			verbs = append(verbs, c.Verb)
		}
		if !slices.Equal(verbs, []string{"patch", "patch", "delete", "create"}) {
			t.Errorf("planned %q", verbs)
		}
		first := h.Planned()[0]
		if first.Before == nil || strings.Contains(string(first.Before), `"data"`) || !strings.Contains(first.Object, `"there"`) {
			t.Errorf("the first change is %+v, want the object as it was", first)
		}
		if !h.exists(t, "there") || h.Changes() != 0 {
			t.Error("a plan changed something")
		}
	})
}
