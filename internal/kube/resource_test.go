package kube

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The static table says what a real API server says.
func TestCommonKindsAreTheServers(t *testing.T) {
	t.Parallel()
	c := admin(t)
	for _, r := range commonKinds {
		path := []string{"apis", r.Group, r.Version}
		if r.Group == "" {
			path = []string{"api", r.Version}
		}
		q := c.request("get", http.MethodGet, r, "", "")
		q.path, q.expect = path, kindsOf(r.APIVersion())
		a, err := c.read(t.Context(), q)
		if err != nil {
			t.Errorf("%s: %v", r, err)
			continue
		}
		var list metav1.APIResourceList
		if err := json.Unmarshal(a.body, &list); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, theirs := range list.APIResources {
			found = found || theirs.Kind == r.Kind && theirs.Name == r.Plural && theirs.Namespaced == r.Namespaced
		}
		if !found {
			t.Errorf("the API server knows no %+v", r)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c := open(t, file, Options{})
	for _, test := range []struct {
		apiVersion, kind, want string
		requests               int
	}{
		{"", "Deployment", "apps/v1 Deployment deployments", 0},
		{"apps/v1", "Deployment", "apps/v1 Deployment deployments", 0},
		{"", "Event", "v1 Event events", 0},
		{"", "HorizontalPodAutoscaler", "autoscaling/v2 HorizontalPodAutoscaler horizontalpodautoscalers", 0},
		{"events.k8s.io/v1", "Event", "events.k8s.io/v1 Event events", 1},
		{"events.k8s.io/v1", "Event", "events.k8s.io/v1 Event events", 0}, // remembered
		{"v1", "PodTemplate", "v1 PodTemplate podtemplates", 1},
		{"autoscaling/v1", "HorizontalPodAutoscaler", "autoscaling/v1 HorizontalPodAutoscaler horizontalpodautoscalers", 1},
	} {
		seen := len(proxy.Requests())
		r, err := c.Resolve(t.Context(), test.apiVersion, test.kind)
		if got := r.String() + " " + r.Plural; err != nil || got != test.want || !r.Namespaced {
			t.Errorf("%s %s: got %s, %v, want %s", test.apiVersion, test.kind, got, err, test.want)
		}
		if got := len(proxy.Requests()) - seen; got != test.requests {
			t.Errorf("%s %s: got %d requests, want %d", test.apiVersion, test.kind, got, test.requests)
		}
	}
}

func TestResolveSuggests(t *testing.T) {
	t.Parallel()
	c := admin(t)
	for _, test := range []struct{ apiVersion, kind, want, hint string }{
		{"", "pod", `unknown kind "pod"`, `did you mean "Pod"?`},
		{"", "pods", `unknown kind "pods"`, `did you mean "Pod"?`},
		{"", "Deploymnet", `unknown kind "Deploymnet"`, `did you mean "Deployment"?`},
		{"", "Gadget", `unknown kind "Gadget"`, `give its api_version, such as "example.com/v1"`},
		{"v1", "pod", `unknown kind "pod" in "v1"`, `did you mean "Pod"?`},
		{"v1", "Gadget", `unknown kind "Gadget" in "v1"`, `kubectl api-resources lists what the API server has`},
		{"nobody-has.example.net/v1", "Gadget", `unknown kind "Gadget" in "nobody-has.example.net/v1"`, `the API server has no such api_version: kubectl api-versions lists what it has`},
	} {
		_, err := c.Resolve(t.Context(), test.apiVersion, test.kind)
		if err == nil || !strings.HasSuffix(err.Error(), test.want) || reason(err) != "NoKind" {
			t.Errorf("%s %s: got %v (%s), want %s", test.apiVersion, test.kind, err, reason(err), test.want)
		}
		if got := hintsOf(err); len(got) != 1 || got[0] != test.hint {
			t.Errorf("%s %s: got the hints %q, want %q", test.apiVersion, test.kind, got, test.hint)
		}
	}
	for _, apiVersion := range []string{"a/b/c", "../v1", "/", "apps/"} {
		if _, err := c.Resolve(t.Context(), apiVersion, "Gadget"); err == nil || reason(err) != "" {
			t.Errorf("%q: got %v (%s), want a mistake in the arguments", apiVersion, err, reason(err))
		}
	}
}

// What would mean something else on the server never gets there.
func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, ctx := open(t, file, Options{}), t.Context()
	node := Resource{Version: "v1", Kind: "Node", Plural: "nodes"}
	empty := func(_ Object, err error) error { return err }
	for want, err := range map[string]error{
		`delete: name is empty`:                         c.Delete(ctx, configMap, "x", "", DeleteOptions{}),
		`delete: invalid name "../pods"`:                c.Delete(ctx, configMap, "x", "../pods", DeleteOptions{}),
		`delete: invalid name ".."`:                     c.Delete(ctx, configMap, "x", "..", DeleteOptions{}),
		`invalid namespace "a/b"`:                       c.Delete(ctx, configMap, "a/b", "x", DeleteOptions{}),
		`delete: kind "ConfigMap" needs a namespace`:    c.Delete(ctx, configMap, "", "x", DeleteOptions{}),
		`delete: kind "Node" has no namespace, got "x"`: c.Delete(ctx, node, "x", "x", DeleteOptions{}),
		`delete: resource of kind "" has no plural`:     c.Delete(ctx, Resource{}, "x", "x", DeleteOptions{}),
		`name is empty`:                                 empty(c.Get(ctx, configMap, "x", "")),
		`create: metadata.name is empty`:                empty(c.Create(ctx, configMap, "x", Object{"metadata": Object{"generateName": "a-"}})),
		`create: kind: got Pod, want "ConfigMap"`:       empty(c.Create(ctx, configMap, "x", Object{"kind": "Pod", "metadata": Object{"name": "a"}})),
		`apply: metadata.name: got "b", want "a"`:       empty(c.Apply(ctx, configMap, "x", "a", Object{"metadata": Object{"name": "b"}}, "ebb", false)),
		`apply: the field manager is empty`:             empty(c.Apply(ctx, configMap, "x", "a", nil, "", false)),
		`patch: object is not JSON`:                     empty(c.Patch(ctx, configMap, "x", "a", Object{"f": func() {}}, PatchOptions{})),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || reason(err) != "" {
			t.Errorf("got %v (%s), want %s", err, reason(err), want)
		}
	}
	if got := proxy.Requests(); len(got) != 0 {
		t.Errorf("got %v, want no request", got)
	}
}
