package runner

import (
	"fmt"
	"log/slog"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
)

// BenchmarkRehearsal is what a scenario waits for before it changes anything: the static check of a
// version file, and the rehearsal of its undo and its verify, by the number of objects in it.
func BenchmarkRehearsal(b *testing.B) {
	kubeconfig, namespace := sandboxtest.Kubeconfig(b), sandboxtest.Namespace(b)
	r, err := New(versions.NewMemory(), Options{Cluster: func() (*rest.Config, error) { return kube.LoadConfig(kubeconfig, "") }})
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	for _, objects := range []int{1, 50} {
		file, err := r.load(b.Context(), "rehearsed.star", fmt.Appendf(nil, rehearsed, namespace, objects))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("check/%d", objects), func(b *testing.B) {
			for b.Loop() {
				if err := r.engine.CheckModule(file.module, versionFileContract); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("rehearse/%d", objects), func(b *testing.B) {
			for b.Loop() {
				if err := r.rehearse(b.Context(), log, file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

const rehearsed = `
rollback_version = RollbackVersion(format = 1, run_uuid = "bench")
rollback_content = RollbackContent(namespace = %q, count = %d)

def names(content):
    return ["object-%%d" %% i for i in range(content.count)]

def rollback_callable(content):
    def delete(name):
        return k8s.delete("ConfigMap", name, content.namespace, owned = True, ignore_not_found = True)
    parallel(delete, names(content))

def verify_callable(content):
    def exists(name):
        return k8s.get("ConfigMap", name, content.namespace) != None
    if any(parallel(exists, names(content))):
        fail("some still exist")
`
