package builtins_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

var secrets = kube.Resource{Version: "v1", Kind: "Secret", Plural: "secrets", Namespaced: true}

// The base64 forms of "hush".
const hush, hush64 = "hush-hush", "aHVzaC1odXNo"

func newSecret(t *testing.T, h *host, name string) {
	t.Helper()
	_, err := h.client.Create(t.Context(), secrets, h.namespace, kube.Object{
		"metadata": map[string]any{"name": name, "namespace": h.namespace, "labels": map[string]any{"app": "x"}, "annotations": map[string]any{
			"kubectl.kubernetes.io/last-applied-configuration": `{"stringData":{"password":"` + hush + `"}}`, "mine": "1",
		}},
		"data": map[string]any{"password": hush64},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// However a script gets hold of a Secret, its values are not in it.
func TestSecretsAreHidden(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	newSecret(t, h, "a")
	for _, how := range []string{
		`k8s.get("Secret", "a", NS)`,
		`k8s.list("Secret", NS, label_selector = "app=x")[0]`,
		`k8s.wait("Secret", "a", NS, until = lambda s: s)`,
		`k8s.wait("Secret", namespace = NS, label_selector = "app=x", until = lambda s: s)[0]`,
		`patched({"stringData": {"password": "hush-hush"}})`,
		`made("Secret", k8s.create)`,
		`made("Secret", k8s.apply)`,
	} {
		got := h.mustRun(t, `
def patched(patch):
    set_rollback_callable(undo_it, RollbackContent(), verify = undo_it, undoes = [ref("Secret", "a", NS)])
    return k8s.patch("Secret", "a", patch, NS)

def made(kind, make):
    name = random_name("b-", 8)
    set_rollback_callable(undo_it, RollbackContent(), verify = undo_it, undoes = [ref(kind, name, NS)])
    return make({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": NS, "labels": {"app": "y"}}, "stringData": {"password": "hush-hush"}})

def main():
    s = `+how+`
    if s["metadata"]["labels"]["app"] not in ("x", "y") or type(s["data"]["password"]) != "secret" or list(s["data"]) != ["password"]:
        fail("got", s)
    return s
`)
		if text := got.String(); strings.Contains(text, hush) || strings.Contains(text, hush64) || !strings.Contains(text, `"password": (secret)`) {
			t.Errorf("%s: got %s, want all but the values", how, text)
		}
	}
	v := h.mustRun(t, `def main(): return k8s.get("Secret", "a", NS)["metadata"]["annotations"]["mine"]`)
	if v != starlark.Value(starlark.String("1")) {
		t.Errorf("got %v, want the annotation", v)
	}
	// The cluster has them still: what was hidden is the script's copy.
	if obj, err := h.client.Get(t.Context(), secrets, h.namespace, "a"); err != nil || obj["data"].(map[string]any)["password"] != hush64 {
		t.Errorf("got %v, %v, want the value untouched", obj, err)
	}
}

// Nothing can be done with what stands in the place of a value.
func TestHiddenValuesGoNowhere(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	newSecret(t, h, "a")
	for _, use := range []string{
		`json.encode(s["data"])`,
		`yaml.encode(s)`,
		`s["data"]["password"] == s["data"]["password"]`,
		`s["data"] == k8s.get("Secret", "a", NS)["data"]`,
		`"x" + s["data"]["password"]`,
		`{s["data"]["password"]: 1}`,
		`base64.decode(s["data"]["password"])`,
		`k8s.patch("Secret", "a", {"data": s["data"]}, NS)`,
		`k8s.patch("ConfigMap", "c", {"data": s["data"]}, NS)`,
		`k8s.apply(s)`,
		`k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": NS}, "data": s["data"]})`,
	} {
		_, err := h.run(t, `
def main():
    set_rollback_callable(undo_it, RollbackContent(), verify = undo_it, undoes = [ref("Secret", "a", NS), ref("ConfigMap", "c", NS)])
    s = k8s.get("Secret", "a", NS)
    `+use)
		if err == nil || strings.Contains(err.Error(), hush) || !strings.Contains(strings.ToLower(err.Error()), "secret") {
			t.Errorf("%s: got %v, want an error about the secret", use, err)
		}
	}
	if h.set != 0 {
		t.Errorf("%d requests were sent", h.set)
	}
}

// A plan says which keys, and not what of them. Environment variables of other objects are the
// other place for passwords.
func TestPlanHidesSecrets(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Plan, sandboxtest.Kubeconfig(t))
	newSecret(t, h, "a")
	h.mustRun(t, `
def main():
    k8s.patch("Secret", "a", {"stringData": {"password": "hush-hush", "old": None}, "metadata": {"labels": {"app": "y"}}}, NS)
    k8s.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b", "namespace": NS}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    k8s.patch("Pod", "b", {"spec": {"containers": [{"name": "c", "env": [{"name": "PASSWORD", "value": "hush-hush"}, {"name": "N"}]}]}}, NS)
    k8s.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c", "namespace": NS}, "stringData": {"password": "hush-hush"}})
`)
	objects, err := json.Marshal(h.Planned())
	if err != nil || strings.Contains(string(objects), hush) || !strings.Contains(string(objects), `"password":"(secret)"`) {
		t.Errorf("got the objects %s and error %v, want them without the secret", objects, err)
	}
	got := strings.Join(texts(h.Planned()), "\n")
	for _, want := range []string{`stringData.password = (secret)`, "remove stringData.old", "metadata.labels.app = y", "name:PASSWORD value:(secret)", `create Secret "c"`} {
		if !strings.Contains(got, want) {
			t.Errorf("got the plan %s, want %q in it", got, want)
		}
	}
	if strings.Contains(got, hush) {
		t.Errorf("got the plan %s, which holds the secret", got)
	}
}

// What the API server has to say about a Secret may hold its values.
func TestErrorsAboutSecrets(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	err := h.wantError(t, `
def main():
    set_rollback_callable(undo_it, RollbackContent(), verify = undo_it, undoes = [ref("Secret", "a", NS)])
    k8s.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": NS, "labels": {"x": "hush-hush!"}}, "stringData": {"hush-hush!": "1"}})
`, `create secrets "a"`)
	if strings.Contains(err.Error(), hush) || !strings.Contains(err.Error(), "Invalid") || !strings.Contains(err.Error(), "(422)") {
		t.Errorf("got %v, want the reason and not the server's words", err)
	}
	user, _ := sandboxtest.User(t, h.namespace, "get:configmaps")
	denied := newHost(t, builtins.Run, user)
	denied.wantError(t, `def main(): k8s.get("Secret", "a", NS)`, "may not get secrets")
}
