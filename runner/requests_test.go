package runner_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// requestCases are undos, and the requests that the replay of one sends. The objects are config maps
// with the labels of the run; verify looks whether they are gone.
var requestCases = []struct {
	name     string
	there    []string // made before
	held     bool     // by a finalizer, until it is looked at after its delete
	callable string
	verify   string // the names that verify looks at
	want     []string
	outcome  runner.Outcome
}{
	{
		name: "an object that is deleted", there: []string{"a"},
		callable: `k8s.delete("ConfigMap", "a", c.namespace, owned = True)`,
		verify:   `["a"]`, want: []string{"GET a", "DELETE a"}, // whose answer says that it is gone
		outcome: runner.Restored,
	},
	{
		name:     "an object that is gone",
		callable: `k8s.delete("ConfigMap", "a", c.namespace, owned = True, ignore_not_found = True) or already_restored("gone")`,
		verify:   `["a"]`, want: []string{"GET a"},
		outcome: runner.AlreadyRestored,
	},
	{
		name: "one that is deleted and one that is gone", there: []string{"a"},
		callable: `[k8s.delete("ConfigMap", name, c.namespace, owned = True, ignore_not_found = True) for name in ["a", "b"]]`,
		verify:   `["a", "b"]`, want: []string{"GET a", "DELETE a", "GET b"},
		outcome: runner.Restored,
	},
	{
		// What creates something may bring back what was seen to be gone.
		name: "an undo that creates too", there: []string{"a"},
		callable: `[k8s.delete("ConfigMap", "a", c.namespace, owned = True), k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": c.namespace}})]`,
		verify:   `["a"]`, want: []string{"GET a", "DELETE a", "POST", "GET a"},
		outcome: runner.Restored,
	},
	{
		// What was seen before a wait is of another time.
		name: "an undo that waits", there: []string{"a"},
		callable: `[k8s.delete("ConfigMap", "a", c.namespace, owned = True), time.sleep(0.001)]`,
		verify:   `["a"]`, want: []string{"GET a", "DELETE a", "GET a"},
		outcome: runner.Restored,
	},
	{
		// The answer to the delete is the object, which is still there.
		name: "an object that is held", there: []string{"a"}, held: true,
		callable: `k8s.delete("ConfigMap", "a", c.namespace, owned = True)`,
		verify:   `["a"]`, want: []string{"GET a", "DELETE a", "GET a"},
		outcome: runner.Restored,
	},
}

const requestsFile = `
rollback_version = RollbackVersion(format = 1, run_uuid = "requests", cluster_uid = %q, undoes = [ref("ConfigMap", "a", %q)])
rollback_content = RollbackContent(namespace = %q)

def rollback_callable(c):
    %s

def verify_callable(c):
    for name in %s:
        if k8s.get("ConfigMap", name, c.namespace) != None:
            fail("it still exists")
`

var namespaceResource = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

var configMapPath = regexp.MustCompile(`^([A-Z]+) /api/v1/namespaces/[^/]+/configmaps/?([a-z]*)`)

// TestRequests: what is known is not asked for again, and what is not known is. Which cluster it is
// is asked once in a process, and no kind is looked up.
func TestRequests(t *testing.T) {
	namespace := sandboxtest.Namespace(t)
	client := bareClient(t)
	maps := client.Resource(configMaps).Namespace(namespace)
	system, err := client.Resource(namespaceResource).Get(t.Context(), "kube-system", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	store := versions.NewMemory()
	r, err := runner.New(store, runner.Options{Cluster: func() (*rest.Config, error) { return kube.LoadConfig(kubeconfig, "") }})
	if err != nil {
		t.Fatal(err)
	}
	// The first look after a delete lets go of what is held.
	var deleted atomic.Bool
	proxy.Handle(func(request *http.Request) sandboxtest.Fault {
		if request.Method == http.MethodDelete {
			deleted.Store(true)
		} else if deleted.Swap(false) {
			patch := []byte(`{"metadata":{"finalizers":null}}`)
			if _, err := maps.Patch(t.Context(), "a", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		}
		return nil
	})
	for i, c := range requestCases {
		for _, name := range c.there {
			meta := map[string]any{"name": name, "labels": map[string]any{builtins.LabelRunUUID: "requests"}}
			if c.held {
				meta["finalizers"] = []any{"ebb.dev/test"}
			}
			object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}}
			if _, err := maps.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		x, err := store.Begin(t.Context(), "requests")
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf(requestsFile, system.GetUID(), namespace, namespace, c.callable, c.verify)
		if _, err := x.Flush(t.Context(), "requests_scenarios", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		before := len(proxy.Requests())
		report, err := r.Replay(t.Context(), runner.ReplayOptions{})
		if err != nil || len(report.Results) != 1 || report.Results[0].Outcome != c.outcome {
			t.Fatalf("%s: got %v, %+v", c.name, err, report)
		}
		var got []string
		for _, request := range proxy.Requests()[before:] {
			switch parts := configMapPath.FindStringSubmatch(request); {
			case parts != nil:
				got = append(got, strings.TrimSpace(parts[1]+" "+parts[2]))
			case i > 0 || !strings.HasPrefix(request, "GET /api/v1/namespaces/kube-system"):
				t.Errorf("%s: got %s, want nothing but requests about config maps", c.name, request)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
