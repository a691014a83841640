package mirror_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
	"github.com/ebb-chaos/ebb/versions/mirror"
	"github.com/ebb-chaos/ebb/versions/storetest"
)

const run = "168dce4c-fdb4-4e8c-aa5b-7f919777801b"

func TestMain(m *testing.M) { os.Exit(sandboxtest.Main(m)) }

func newDisk(t testing.TB) *versions.Dir {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := versions.NewDir(filepath.Join(dir, "versions"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStore(t *testing.T) {
	storetest.RunSize(t, storetest.Size{Files: 100, Opens: 20}, func(t *testing.T) versions.Store {
		return mirror.New(newDisk(t), versions.NewMemory(), mirror.Options{Required: true})
	})
}

// cluster is a memory that can be away, and whose files may be unsigned.
type cluster struct {
	*versions.Memory
	away     bool
	unsigned bool
}

var errAway = errors.New("the API server is away")

func (c *cluster) Adopt(ctx context.Context, id string) (versions.TwinExecution, error) {
	if c.away {
		return nil, errAway
	}
	e, err := c.Memory.Adopt(ctx, id)
	if err != nil {
		return nil, err
	}
	return &hold{e, c}, nil
}

func (c *cluster) Open(ctx context.Context, id string) (versions.Execution, error) {
	if c.away {
		return nil, errAway
	}
	e, err := c.Memory.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	return &hold{e.(versions.TwinExecution), c}, nil
}

func (c *cluster) List(ctx context.Context, f versions.Filter) (versions.Listing, error) {
	if c.away {
		return versions.Listing{}, errAway
	}
	return c.Memory.List(ctx, f)
}

type hold struct {
	versions.TwinExecution
	cluster *cluster
}

func (h *hold) Put(ctx context.Context, f versions.File, content []byte) (versions.File, error) {
	if h.cluster.away {
		return f, errAway
	}
	return h.TwinExecution.Put(ctx, f, content)
}

func (h *hold) MarkExecuted(ctx context.Context, f versions.File) (versions.File, error) {
	if h.cluster.away {
		return f, errAway
	}
	return h.TwinExecution.MarkExecuted(ctx, f)
}

func (h *hold) Remove(ctx context.Context, files ...versions.File) error {
	if h.cluster.away {
		return errAway
	}
	return h.TwinExecution.Remove(ctx, files...)
}

func (h *hold) Read(ctx context.Context, f versions.File) ([]byte, error) {
	content, err := h.TwinExecution.Read(ctx, f)
	if err == nil && h.cluster.unsigned {
		return nil, &versions.UntrustedError{Location: f.Location, Problem: "is not signed", Digest: versions.Digest(content)}
	}
	return content, err
}

// copies puts a file into both stores as they were left: "" is no copy, otherwise "state content".
func copies(t *testing.T, disk, cluster versions.Twin, left, right string) (id string) {
	t.Helper()
	e, err := disk.Begin(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	f, err := versions.NewFile(e.ID(), "pod", 0, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	id = e.ID()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for store, copy := range map[versions.Twin]string{disk: left, cluster: right} {
		state, content, ok := strings.Cut(copy, " ")
		if !ok {
			continue
		}
		x, err := store.Adopt(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Put(t.Context(), f.In(versions.State(state)), []byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// state is what a store has of an execution.
func state(t *testing.T, s versions.Store, id string) string {
	t.Helper()
	listing, err := s.List(t.Context(), versions.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if x.ID == id {
				states = append(states, string(f.State))
			}
		}
	}
	return strings.Join(states, ",")
}

// disagreement is what the two copies of a file say.
type disagreement struct {
	name          string
	disk, cluster string
	unsigned      bool   // the cluster's
	noKey         bool   // nothing can be signed here
	want          string // what is read of the pending file; "" if there is none, "refused"
	after         string // states of the disk's and the cluster's copy after the open
}

var disagreements = []disagreement{
	{"both pending", "pending x", "pending x", false, false, "x", "pending/pending"},
	{"the disk vanished", "", "pending x", false, false, "x", "pending/pending"},
	{"the disk vanished, and nobody signed", "", "pending x", true, false, "refused", "/pending"},
	{"the cluster lost it", "pending x", "", false, false, "x", "pending/pending"},
	{"the cluster lost it, and there is no key", "pending x", "", false, true, "x", "pending/"},
	{"killed between the cluster and the disk at the end", "pending x", "executed x", false, false, "x", "pending/pending"},
	{"the same without a key", "pending x", "executed x", false, true, "x", "pending/executed"},
	{"the cluster was away at the end", "executed x", "pending x", false, false, "x", "pending/pending"},
	{"both executed", "executed x", "executed x", false, false, "", "executed/executed"},
	{"executed on the disk, removed in the cluster", "executed x", "", false, false, "", "executed/"},
	{"executed in the cluster, removed on the disk", "", "executed x", false, false, "", "executed/executed"},
	{"edited on the disk", "pending edited", "pending x", false, false, "x", "pending/pending"},
	{"edited in the cluster, and signed", "pending x", "pending edited", false, false, "edited", "pending/pending"},
	{"edited and signed, after the disk's was executed", "executed x", "pending edited", false, false, "edited", "pending/pending"},
	{"changed in the cluster", "pending x", "pending evil", true, false, "refused", "pending/pending"},
	{"changed in the cluster, after the disk's was executed", "executed x", "pending evil", true, false, "refused", "pending/pending"},
	{"executed in the cluster by nobody who signs", "pending x", "executed evil", true, false, "refused", "pending/executed"},
	{"unsigned and the same", "pending x", "pending x", true, false, "x", "pending/pending"},
}

// Whatever the two copies say: pending in either is pending, the signed one counts, and after an open
// both are the same.
func TestDisagreements(t *testing.T) {
	for _, test := range disagreements {
		t.Run(test.name, func(t *testing.T) {
			other := &cluster{Memory: versions.NewMemory(), unsigned: test.unsigned}
			test.try(t, newDisk(t), other, other)
		})
	}
}

// The same with a cluster.
func TestDisagreementsInACluster(t *testing.T) {
	config, err := kube.LoadConfig(sandboxtest.Kubeconfig(t), "")
	if err != nil {
		t.Fatal(err)
	}
	namespace := sandboxtest.Namespace(t)
	key, err := clusterstore.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	public := []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}
	open := func(t *testing.T, signing ed25519.PrivateKey) *clusterstore.Store {
		s, err := clusterstore.New(clusterstore.Options{Cluster: config, Namespace: namespace, SigningKey: signing, PublicKeys: public, Patience: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	for _, test := range disagreements {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			runner, here := key, key
			if test.unsigned {
				runner = nil
			}
			if test.noKey {
				here = nil
			}
			test.try(t, newDisk(t), open(t, runner), open(t, here))
		})
	}
}

// try makes the copies, and opens them with another store of the same cluster than the one that wrote.
func (test disagreement) try(t *testing.T, disk *versions.Dir, writer, other versions.Twin) {
	id := copies(t, disk, writer, test.disk, test.cluster)
	s := mirror.New(disk, other, mirror.Options{Required: true, Signs: func() bool { return !test.noKey }})
	if got, want := state(t, s, id), union(test.disk, test.cluster); got != want {
		t.Errorf("before the open: listed as %q, want %q", got, want)
	}
	e, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	files, err := e.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, f := range slices.DeleteFunc(files, func(f versions.File) bool { return !f.Replayable() }) {
		content, err := e.Read(t.Context(), f)
		if got += string(content); errors.As(err, new(*versions.UntrustedError)) {
			got += "refused"
		} else if err != nil {
			t.Error(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got != test.want {
		t.Errorf("read %q, want %q", got, test.want)
	}
	if got := state(t, disk, id) + "/" + state(t, other, id); got != test.after {
		t.Errorf("after the open: %q, want %q", got, test.after)
	}
}

func union(disk, cluster string) string {
	switch {
	case strings.HasPrefix(disk, "pending"), strings.HasPrefix(cluster, "pending"):
		return "pending"
	}
	return "executed"
}

// The cluster goes away at each point of a run. Required, nothing is written without it; otherwise
// all goes on, and the copies are the same again after the next open.
func TestAway(t *testing.T) {
	for _, required := range []bool{true, false} {
		for _, point := range []string{"begin", "flush", "executed", "removed"} {
			t.Run(point, func(t *testing.T) {
				disk, other := newDisk(t), &cluster{Memory: versions.NewMemory()}
				s := mirror.New(disk, other, mirror.Options{Required: required})
				other.away = point == "begin"
				e, err := s.Begin(t.Context(), run)
				if point == "begin" {
					if !errors.Is(err, errAway) || state(t, disk, "") != "" {
						t.Fatalf("begin: got %v, want %v: it has to work then, required or not", err, errAway)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				first, err := e.Flush(t.Context(), "pod", []byte("first"))
				if err != nil {
					t.Fatal(err)
				}
				other.away = true
				switch point {
				case "flush":
					_, err = e.Flush(t.Context(), "pod", []byte("second"))
				case "executed":
					_, err = e.MarkExecuted(t.Context(), first)
				case "removed":
					err = e.Remove(t.Context(), first)
				}
				if (err != nil) != required {
					t.Errorf("required %t: got %v", required, err)
				}
				want := map[string]string{"flush": "pending,pending", "executed": "executed", "removed": ""}[point]
				if required {
					want = "pending"
				}
				if got := state(t, disk, e.ID()); got != want {
					t.Errorf("required %t: the disk has %q, want %q", required, got, want)
				}
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				other.away = false
				again, err := s.Open(t.Context(), e.ID())
				if err != nil {
					t.Fatal(err)
				}
				if err := again.Close(); err != nil {
					t.Fatal(err)
				}
				if a, b := state(t, disk, e.ID()), state(t, other, e.ID()); a != b || !strings.Contains(a, "pending") {
					t.Errorf("after the next open: the disk has %q, the cluster %q, want the same, and pending", a, b)
				}
			})
		}
	}
}

// A cluster that is away keeps nobody from undoing what is on the disk.
func TestAwayAtReplay(t *testing.T) {
	disk, other := newDisk(t), &cluster{Memory: versions.NewMemory()}
	id := copies(t, disk, other, "pending x", "pending x")
	other.away = true
	s := mirror.New(disk, other, mirror.Options{Required: true})
	listing, err := s.List(t.Context(), versions.Filter{})
	if err != nil || len(listing.Executions) != 1 || len(listing.Problems) != 1 {
		t.Fatalf("got %+v, %v, want one execution, and that the cluster can't be listed", listing, err)
	}
	e, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	f := listing.Executions[0].Files[0]
	if content, err := e.Read(t.Context(), f); err != nil || string(content) != "x" {
		t.Errorf("got %q, %v", content, err)
	}
	if _, err := e.MarkExecuted(t.Context(), f); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// A run on the other machine has the execution: nobody here does, whatever the disk says.
func TestHeldElsewhere(t *testing.T) {
	disk, other := newDisk(t), &cluster{Memory: versions.NewMemory()}
	id := copies(t, disk, other, "pending x", "pending x")
	held, err := other.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	s := mirror.New(disk, other, mirror.Options{})
	if _, err := s.Open(t.Context(), id); !errors.As(err, new(*versions.LockedError)) {
		t.Errorf("got %v, want a *LockedError", err)
	}
	if err := s.Busy(t.Context(), id); !errors.As(err, new(*versions.LockedError)) {
		t.Errorf("got %v, want a *LockedError", err)
	}
}
