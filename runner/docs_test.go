package runner_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
)

var deployments = runtimeschema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// TestScriptsDoc runs the scenario of docs/scripts.md as it stands there.
func TestScriptsDoc(t *testing.T) {
	doc, err := os.ReadFile("../docs/scripts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(doc), "```python\n")
	script, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("docs/scripts.md has no script")
	}
	kubeconfig, namespace := sandboxtest.Kubeconfig(t), sandboxtest.Namespace(t)
	client := bareClient(t).Resource(deployments).Namespace(namespace)
	labels := map[string]any{"app": "shop"}
	if _, err := client.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "shop"},
		"spec": map[string]any{
			"replicas": int64(2), "selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "shop", "image": "shop"}}},
			},
		},
	}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	replicas := func() int64 {
		t.Helper()
		d, err := client.Get(t.Context(), "shop", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		n, _, err := unstructured.NestedInt64(d.Object, "spec", "replicas")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	b := newBench(t)
	var during []int64
	b.use(runner.Options{
		Cluster: func() (*rest.Config, error) { return kube.LoadConfig(kubeconfig, "") },
		Scripts: []runner.ScriptDir{{Name: "docs", FS: fstest.MapFS{"scale.star": {Data: []byte(script)}}}},
		Hooks: runner.Hooks{Reached: func(p runner.Point) {
			if p == runner.AfterChange {
				during = append(during, replicas())
			}
		}},
	})
	path := filepath.Join(t.TempDir(), "scale.yaml")
	if err := os.WriteFile(path, []byte("namespace: "+namespace+"\ndeployment: shop\nduration: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	scenarios, err := b.Prepare(t.Context(), []runner.ScenarioFile{{Type: "scale_down_scenarios", Path: path, From: "docs"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	report := b.run(scenarios, runner.RunOptions{})
	x := report.Scenarios[0]
	if x.Err != nil || report.Pending() > 0 || len(x.Results) != 1 || x.Results[0].Outcome != runner.Restored {
		t.Fatalf("got %v and %+v:\n%s", x.Err, x.Results, b.log.String())
	}
	if len(during) != 1 || during[0] != 0 || replicas() != 2 || x.Effects[0].State != builtins.InForce {
		t.Errorf("replicas were %v in the chaos and are %d now, want 0 and 2; the effect was %+v", during, replicas(), x.Effects)
	}
}
