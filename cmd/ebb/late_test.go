package main

import (
	"context"
	"net/http"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// heldBack is a scenario one of whose requests is held back on the way to the API server.
type heldBack struct {
	types    string // the scenario
	file     string
	prepare  func(w *world)
	method   string
	resource string // of the request
}

var allHeldBack = map[string]heldBack{
	"network policy": {
		types: "application_outages_scenarios: [scenario.yaml]", method: http.MethodPost, resource: "networkpolicies", prepare: addApplication,
		file: "application_outage: {namespace: NAMESPACE, duration: 600}\n",
	},
	"pod": {
		types: "hog_scenarios: [scenario.yaml]", method: http.MethodPost, resource: "pods",
		file: "{hog-type: cpu, namespace: NAMESPACE, duration: 600, node-selector: node-role.kubernetes.io/worker=}\n",
	},
	"selector": {
		types: "service_hijacking_scenarios: [scenario.yaml]", method: http.MethodPatch, resource: "services", prepare: addService,
		file: "{service_target_port: 80, service_name: web, service_namespace: NAMESPACE, image: example.com/hijack:1, chaos_duration: 600," +
			" plan: [{resource: /, steps: {GET: [{duration: 15, status: 500, mime_type: text/plain, payload: gone}]}}]}\n",
	},
}

// TestLateRequest kills a run while its request is held back on the way to the API server, and
// lets it go on only when the replay has looked and found nothing. The mark in the context
// directory has to make the replay wait, so that it undoes what landed after the kill; and
// where the request never lands, it has to find that out.
func TestLateRequest(t *testing.T) {
	t.Parallel()
	for name, c := range allHeldBack {
		for fate, lands := range map[string]bool{"lands": true, "is lost": false} {
			t.Run(name+" "+fate, func(t *testing.T) {
				t.Parallel()
				c.try(t, lands)
			})
		}
	}
}

func (c heldBack) try(t *testing.T, lands bool) {
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	w := newWorld(t, sandboxtest.Namespace(t), kubeconfig, c.types)
	w.write("scenario.yaml", "%s", strings.ReplaceAll(c.file, "NAMESPACE", w.namespace))
	if c.prepare != nil {
		c.prepare(w)
	}
	before := w.selector()
	h := c.hold(proxy, lands)
	defer h.letGo()

	// Longer than others have: the replay is to start while the request can still land.
	longer := func(c *exec.Cmd) { c.Env = append(c.Env, requestTimeVariable+"="+(3*requestTime/2).String()) }
	run := w.startWith(longer, "", "run", "--config", "config.yaml")
	select {
	case <-h.arrived:
	case <-run.ended:
		t.Fatalf("the run ended before its request: %s", w.said(run))
	}
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if code := w.finish(run); code != "killed" {
		t.Fatalf("got exit code %s, want it killed: %s", code, w.said(run))
	}
	pending := len(w.pending())
	w.checkNamed()

	replay := w.startWith(longer, "", "execute-rollback", "--config", "config.yaml")
	w.await(replay, `a request to \w+ .* may still be under way, waiting`)
	if lands {
		h.letGo()
		<-h.landed
		// Not a moment without: it is there, and the file is pending.
		if len(w.objects()) == 0 && reflect.DeepEqual(w.selector(), before) {
			t.Error("the request changed nothing: nothing was tested")
		}
		w.checkNamed()
		if got := len(w.pending()); got != pending {
			t.Errorf("%d files are pending while the replay waits, want all %d", got, pending)
		}
	}
	if code := w.finish(replay); code != "0" {
		t.Errorf("execute-rollback: exit code %s:\n%s", code, w.said(replay))
	}
	w.checkRestored()
	if after := w.selector(); !reflect.DeepEqual(after, before) {
		t.Errorf("the service selects %v, want %v as before", after, before)
	}
}

// holding is a request that a proxy holds back.
type holding struct {
	arrived, landed chan struct{} // closed when it has
	letGo           func()        // lets it go on to the API server
}

// hold has a proxy hold back the first request of its kind. One that does not land gets no answer.
func (c heldBack) hold(proxy *sandboxtest.Proxy, lands bool) *holding {
	release := make(chan struct{})
	h := &holding{arrived: make(chan struct{}), landed: make(chan struct{}), letGo: sync.OnceFunc(func() { close(release) })}
	var seen sync.Once
	proxy.Handle(func(r *http.Request) sandboxtest.Fault {
		if r.Method != c.method || !strings.Contains(r.URL.Path, c.resource) {
			return nil
		}
		var fault sandboxtest.Fault
		seen.Do(func() {
			fault = func(rw http.ResponseWriter, r *http.Request, forward http.Handler) {
				close(h.arrived)
				if !lands {
					sandboxtest.Silent(rw, r, forward)
				}
				defer close(h.landed)
				sandboxtest.Hold(release)(rw, r, forward)
			}
		})
		return fault
	})
	return h
}

// addService adds a service and a pod behind it.
func addService(w *world) {
	for kind, text := range map[string]map[string]any{
		"services": {"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "web"},
			"spec": map[string]any{"selector": map[string]any{"app": "web"}, "ports": []any{map[string]any{"port": int64(80)}}}},
		"pods": {"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "web-1", "labels": map[string]any{"app": "web"}},
			"spec": map[string]any{"containers": []any{map[string]any{"name": "web", "image": "example.com/web:1"}}}},
	} {
		_, err := w.client.Resource(kinds[kind]).Namespace(w.namespace).
			Create(context.Background(), &unstructured.Unstructured{Object: text}, metav1.CreateOptions{})
		if err != nil {
			w.Fatal(err)
		}
	}
}

// selector returns what the services of the namespace select.
func (w *world) selector() map[string]any {
	w.Helper()
	list, err := w.client.Resource(kinds["services"]).Namespace(w.namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		w.Fatal(err)
	}
	selectors := map[string]any{}
	for _, s := range list.Items {
		selectors[s.GetName()] = walk(s.Object, []string{"spec", "selector"})
	}
	return selectors
}
