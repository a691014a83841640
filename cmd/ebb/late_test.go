package main

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// TestLateRequest kills a run while its request is held back on the way to the API server, and
// lets it go on only when the replay has looked and found nothing. The mark in the context
// directory has to make the replay wait, so that it undoes what landed after the kill; and
// where the request never lands, it has to find that out.
func TestLateRequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		types    string // the scenario
		file     string
		prepare  func(w *world)
		method   string
		resource string // of the request that is held back
	}{
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
	} {
		for fate, lands := range map[string]bool{"lands": true, "is lost": false} {
			t.Run(name+" "+fate, func(t *testing.T) {
				t.Parallel()
				proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
				w := newWorld(t, sandboxtest.Namespace(t), kubeconfig, c.types)
				w.write("scenario.yaml", "%s", strings.ReplaceAll(c.file, "NAMESPACE", w.namespace))
				if c.prepare != nil {
					c.prepare(w)
				}
				before := w.selector()

				arrived, release, landed := make(chan struct{}), make(chan struct{}), make(chan struct{})
				var letGo, seen sync.Once
				defer letGo.Do(func() { close(release) })
				proxy.Handle(func(r *http.Request) sandboxtest.Fault {
					if r.Method != c.method || !strings.Contains(r.URL.Path, c.resource) {
						return nil
					}
					var fault sandboxtest.Fault
					seen.Do(func() {
						fault = func(rw http.ResponseWriter, r *http.Request, forward http.Handler) {
							close(arrived)
							if !lands {
								sandboxtest.Silent(rw, r, forward)
							}
							defer close(landed)
							sandboxtest.Hold(release)(rw, r, forward)
						}
					})
					return fault
				})

				run := w.start("", "run", "--config", "config.yaml")
				select {
				case <-arrived:
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

				replay := w.start("", "execute-rollback", "--config", "config.yaml")
				w.await(replay, `a request to \w+ .* may still be under way, waiting`)
				if lands {
					letGo.Do(func() { close(release) })
					<-landed
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
			})
		}
	}
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
