package clusterstore_test

import (
	"crypto/ed25519"
	"os"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
	"github.com/ebb-chaos/ebb/versions/storetest"
)

func TestMain(m *testing.M) { os.Exit(sandboxtest.Main(m)) }

const run = "168dce4c-fdb4-4e8c-aa5b-7f919777801b"

// place is a namespace for stores.
type place struct {
	kubeconfig, namespace string
}

func newPlace(t testing.TB) place {
	t.Helper()
	return place{sandboxtest.Kubeconfig(t), sandboxtest.Namespace(t)}
}

// store opens a store there, signing with a key of its own unless o has one.
func (p place) store(t testing.TB, o clusterstore.Options) *clusterstore.Store {
	t.Helper()
	config, err := kube.LoadConfig(p.kubeconfig, "")
	if err != nil {
		t.Fatal(err)
	}
	o.Cluster, o.Namespace = config, p.namespace
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	s, err := clusterstore.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	key, err := clusterstore.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestStore(t *testing.T) {
	t.Parallel()
	size := storetest.Size{Files: 100, Opens: 8} // each is some requests
	if os.Getenv("EBB_SOAK_KILLS") != "" {
		size = storetest.Size{Files: 1000, Opens: 100}
	}
	storetest.RunSize(t, size, func(t *testing.T) versions.Store {
		return newPlace(t).store(t, clusterstore.Options{SigningKey: newKey(t)})
	})
}
