package runner_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// BenchmarkGoneBare is what the requests of the next benchmark cost: a delete and a look, each
// answered with 404.
func BenchmarkGoneBare(b *testing.B) {
	client := bareClient(b).Resource(configMaps).Namespace(sandboxtest.Namespace(b))
	for b.Loop() {
		each(b, func(ctx context.Context, name string) error {
			if err := client.Delete(ctx, name, metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("delete: got %v", err)
			}
			if _, err := client.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("get: got %v", err)
			}
			return nil
		})
	}
	b.ReportMetric(float64(benchObjects*b.N)/b.Elapsed().Seconds(), "files/s")
}

// BenchmarkGoneReplayed is a replay of files, one an execution, whose objects are gone.
func BenchmarkGoneReplayed(b *testing.B) {
	namespace, kubeconfig := sandboxtest.Namespace(b), sandboxtest.Kubeconfig(b)
	for b.Loop() {
		b.StopTimer()
		store, err := versions.NewDir(filepath.Join(b.TempDir(), "versions"))
		if err != nil {
			b.Fatal(err)
		}
		r, err := runner.New(store, runner.Options{Cluster: func() (*rest.Config, error) { return kube.LoadConfig(kubeconfig, "") }})
		if err != nil {
			b.Fatal(err)
		}
		for i := range benchObjects {
			x, err := store.Begin(b.Context(), "bench")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := x.Flush(b.Context(), "bench_scenarios", fmt.Appendf(nil, goneFile, i, namespace, i, namespace)); err != nil {
				b.Fatal(err)
			}
			if err := x.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		report, err := r.Replay(b.Context(), runner.ReplayOptions{})
		if err != nil || len(report.Results) != benchObjects {
			b.Fatalf("got %v and %+v", err, report)
		}
		for _, result := range report.Results {
			if result.Outcome != runner.AlreadyRestored {
				b.Fatalf("got %+v", result)
			}
		}
	}
	b.ReportMetric(float64(benchObjects*b.N)/b.Elapsed().Seconds(), "files/s")
}

const goneFile = `
rollback_version = RollbackVersion(format = 1, run_uuid = "bench", undoes = [ref("ConfigMap", "object-%d", %q)])
rollback_content = RollbackContent(name = "object-%d", namespace = %q)

def rollback_callable(content):
    if not k8s.delete("ConfigMap", content.name, content.namespace, owned = True, ignore_not_found = True):
        already_restored("it is gone")

def verify_callable(content):
    if k8s.get("ConfigMap", content.name, content.namespace) != None:
        fail("it still exists")
`
