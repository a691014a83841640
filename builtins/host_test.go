package builtins_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.starlark.net/starlark"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func TestMain(m *testing.M) { os.Exit(sandboxtest.Main(m)) }

// recorder acknowledges every rollback, as a store would that never fails.
type recorder struct {
	mu      sync.Mutex
	records []builtins.Rollback
	undone  int
	err     error
}

func (r *recorder) Record(_ context.Context, rb builtins.Rollback) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.records = append(r.records, rb)
	}
	return r.err
}

func (r *recorder) Undo(context.Context) error { r.undone++; return nil }

// host is a session on the sandbox's cluster, with a record of its marks.
type host struct {
	*builtins.Session
	recorder  recorder
	client    *kube.Client
	namespace string
	marks     map[string]int // "create Pod a": how many are set
	set       int
}

func newHost(t *testing.T, mode builtins.Mode, kubeconfig string) *host {
	t.Helper()
	config, err := kube.LoadConfig(kubeconfig, "")
	if err != nil {
		t.Fatal(err)
	}
	// A server that is made to fail must not be waited for long. The sandbox itself may be busy.
	var limits kube.Options
	if kubeconfig != sandboxtest.Kubeconfig(t) {
		limits = kube.Options{Patience: 2 * time.Second, MutationTimeout: 2 * time.Second}
	}
	client, err := kube.New(config, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	h := &host{client: client, namespace: sandboxtest.Namespace(t), marks: map[string]int{}}
	h.Session = &builtins.Session{
		Mode: mode, Log: slog.New(slog.DiscardHandler), RunUUID: "run-1", ScenarioType: "test_scenarios",
		Cluster: func(context.Context) (*kube.Client, error) { return client, nil },
	}
	h.Recorder = &h.recorder
	var mu sync.Mutex
	h.Mark = func(verb string, r builtins.Ref, _ time.Time) (func() error, error) {
		mu.Lock()
		defer mu.Unlock()
		key := verb + " " + r.Kind + " " + r.Name
		h.marks[key]++
		h.set++
		return func() error {
			mu.Lock()
			defer mu.Unlock()
			if h.marks[key]--; h.marks[key] == 0 {
				delete(h.marks, key)
			}
			return nil
		}, nil
	}
	return h
}

// prelude is what the scripts below share.
const prelude = `
def undo_it(content):
    pass

def config_map(name, **labels):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": NS, "labels": labels}}

def record_undo(*names):
    set_rollback_callable(undo_it, RollbackContent(), verify = undo_it, undoes = [ref("ConfigMap", name, NS) for name in names])
`

// run calls main of a script under the session.
func (h *host) run(t *testing.T, script string) (starlark.Value, error) {
	t.Helper()
	predeclared := builtins.Predeclared()
	predeclared["NS"] = starlark.String(h.namespace)
	e := engine.New(engine.Options{Predeclared: predeclared, Bind: builtins.Bind})
	ctx := builtins.WithSession(t.Context(), h.Session)
	m, err := e.Load(builtins.WithSession(t.Context(), &builtins.Session{Log: h.Log}), "test.star", []byte(prelude+script))
	if err != nil {
		t.Fatal(err)
	}
	return e.Call(ctx, m.Get("main"))
}

func (h *host) mustRun(t *testing.T, script string) starlark.Value {
	t.Helper()
	v, err := h.run(t, script)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (h *host) wantError(t *testing.T, script, want string) error {
	t.Helper()
	_, err := h.run(t, script)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got error %v, want one with %q", err, want)
	}
	return err
}

var configMaps = kube.Resource{Version: "v1", Kind: "ConfigMap", Plural: "configmaps", Namespaced: true}

// exists asks the cluster, past the builtins.
func (h *host) exists(t *testing.T, name string) bool {
	t.Helper()
	_, err := h.client.Get(t.Context(), configMaps, h.namespace, name)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// get returns a config map, nil if there is none.
func (h *host) get(t *testing.T, name string) kube.Object {
	t.Helper()
	obj, err := h.client.Get(t.Context(), configMaps, h.namespace, name)
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return obj
}

// create makes a config map as somebody else would.
func (h *host) create(t *testing.T, name string, labels map[string]any) string {
	t.Helper()
	obj, err := h.client.Create(t.Context(), configMaps, h.namespace, kube.Object{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": h.namespace, "labels": labels},
	})
	if err != nil {
		t.Fatal(err)
	}
	return obj["metadata"].(map[string]any)["uid"].(string)
}

// texts is what a plan says, a line each.
func texts(changes []builtins.Change) []string {
	var all []string
	for _, c := range changes {
		all = append(all, c.Text)
	}
	return all
}
