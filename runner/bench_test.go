package runner_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

func TestMain(m *testing.M) { os.Exit(sandboxtest.Main(m)) }

// What is deleted at a time, and by how many at once: as parallel does it.
const (
	benchObjects = 100
	benchWorkers = 16
)

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

func bareClient(b testing.TB) dynamic.Interface {
	config, err := clientcmd.BuildConfigFromFlags("", sandboxtest.Kubeconfig(b))
	if err != nil {
		b.Fatal(err)
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

// each calls do for every object, as many at once as ebb does.
func each(b *testing.B, do func(ctx context.Context, name string) error) {
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(benchWorkers)
	for i := range benchObjects {
		group.Go(func() error { return do(ctx, fmt.Sprintf("object-%d", i)) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func createAll(b *testing.B, client dynamic.ResourceInterface) {
	each(b, func(ctx context.Context, name string) error {
		_, err := client.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": name, "labels": map[string]any{builtins.LabelRunUUID: "bench"}},
		}}, metav1.CreateOptions{})
		return err
	})
}

// BenchmarkDeletesBare is what the API server and client-go take for the requests
// of a replay: look, delete by UID, look again.
func BenchmarkDeletesBare(b *testing.B) {
	client := bareClient(b).Resource(configMaps).Namespace(sandboxtest.Namespace(b))
	for b.Loop() {
		b.StopTimer()
		createAll(b, client)
		b.StartTimer()
		each(b, func(ctx context.Context, name string) error {
			object, err := client.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			uid := object.GetUID()
			return client.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
		})
		each(b, func(ctx context.Context, name string) error {
			if _, err := client.Get(ctx, name, metav1.GetOptions{}); err == nil {
				return fmt.Errorf("%s still exists", name)
			}
			return nil
		})
	}
	b.ReportMetric(float64(benchObjects*b.N)/b.Elapsed().Seconds(), "deletes/s")
}

// BenchmarkDeletesReplayed is the same by a version file: loaded, run, verified,
// renamed and journalled.
func BenchmarkDeletesReplayed(b *testing.B) {
	namespace := sandboxtest.Namespace(b)
	client := bareClient(b).Resource(configMaps).Namespace(namespace)
	store := versions.NewMemory()
	kubeconfig := sandboxtest.Kubeconfig(b)
	r, err := runner.New(store, runner.Options{Cluster: func() (*rest.Config, error) { return kube.LoadConfig(kubeconfig, "") }})
	if err != nil {
		b.Fatal(err)
	}
	file := fmt.Sprintf(benchFile, namespace, benchObjects)
	for b.Loop() {
		b.StopTimer()
		createAll(b, client)
		x, err := store.Begin(b.Context(), "bench")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := x.Flush(b.Context(), "bench_scenarios", []byte(file)); err != nil {
			b.Fatal(err)
		}
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		report, err := r.Replay(b.Context(), runner.ReplayOptions{})
		if err != nil || len(report.Results) != 1 || report.Results[0].Outcome != runner.Restored {
			b.Fatalf("got %v and %+v", err, report)
		}
	}
	b.ReportMetric(float64(benchObjects*b.N)/b.Elapsed().Seconds(), "deletes/s")
}

const benchFile = `
rollback_version = RollbackVersion(format = 1, run_uuid = "bench")
rollback_content = RollbackContent(namespace = %q, count = %d)

def names(content):
    return ["object-%%d" %% i for i in range(content.count)]

def rollback_callable(content):
    def delete(name):
        return k8s.delete("ConfigMap", name, content.namespace, owned = True)
    parallel(delete, names(content))

def verify_callable(content):
    def exists(name):
        return k8s.get("ConfigMap", name, content.namespace) != None
    if any(parallel(exists, names(content))):
        fail("some still exist")
`
