package clusterstore_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// stopped are the times of a holder that does not renew its Lease: one that was stopped.
var stopped = clusterstore.Times{Renew: time.Hour, Stop: time.Hour}

var leaseKind = kube.Resource{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease", Plural: "leases", Namespaced: true}

// hasty are those of somebody who does not wait for long.
var hasty = clusterstore.Times{Lease: time.Second, Renew: 200 * time.Millisecond, Settle: 100 * time.Millisecond}

// A holder that was taken for dead can neither write nor change anything, whichever of the two comes
// first: its next ordinal is used up.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	p, key := newPlace(t), newKey(t)
	old := p.store(t, clusterstore.Options{SigningKey: key, Times: stopped})
	for _, removed := range []bool{false, true} { // the newest file, whose ordinal was used all the same
		e, f := begun(t, old, "x")
		last, err := e.Flush(t.Context(), "pod", []byte("y"))
		if err != nil {
			t.Fatal(err)
		}
		if removed {
			if err := e.Remove(t.Context(), last); err != nil {
				t.Fatal(err)
			}
		}
		// By times that a slow machine keeps.
		if err := p.store(t, clusterstore.Options{Times: stopped}).Busy(t.Context(), e.ID()); !errors.As(err, new(*versions.LockedError)) {
			t.Errorf("at once: got %v, want a *LockedError", err)
		}
		watch := p.store(t, clusterstore.Options{SigningKey: key, Times: hasty})
		var taken versions.Execution
		for taken == nil { // until its Lease looks old enough to be watched
			if taken, err = watch.Open(t.Context(), e.ID()); err != nil && !errors.As(err, new(*versions.LockedError)) {
				t.Fatal(err)
			}
		}
		if holder, ok := taken.TookOver(); !ok || holder.PID == 0 {
			t.Errorf("got %+v, %t, want who it was", holder, ok)
		}
		if _, err := e.Flush(t.Context(), "pod", []byte("z")); !errors.As(err, new(*versions.LostError)) {
			t.Errorf("flush of the old holder: got %v, want a *LostError", err)
		}
		if _, err := e.MarkInFlight(versions.Mark{}); !errors.As(err, new(*versions.LostError)) {
			t.Errorf("mark of the old holder: got %v, want a *LostError", err)
		}
		if _, err := e.Files(t.Context()); !errors.As(err, new(*versions.LockedError)) {
			t.Errorf("files of the old holder: got %v, want a *LockedError", err)
		}
		select {
		case <-e.(versions.Losable).Lost():
		default:
			t.Error("the old holder was not told")
		}
		files, err := taken.Files(t.Context())
		if want := 2; err != nil || removed && len(files) != 1 || !removed && len(files) != want {
			t.Errorf("got %v, %v, want what was flushed before", files, err)
		}
		if content, err := taken.Read(t.Context(), f); err != nil || string(content) != "x" {
			t.Errorf("got %q, %v", content, err)
		}
		if err := errors.Join(taken.Remove(t.Context(), files...), taken.Close(), e.Close()); err != nil {
			t.Error(err)
		}
		if got, err := watch.List(t.Context(), versions.Filter{}); err != nil || len(got.Executions) != 0 {
			t.Errorf("got %v, %v, want nothing left", got, err)
		}
	}
}

// A holder that lives keeps its execution, however long it takes.
func TestRenewed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.store(t, clusterstore.Options{SigningKey: newKey(t), Times: clusterstore.Times{Renew: 100 * time.Millisecond}})
	e, err := s.Begin(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	// It takes a Lease that has not changed for 2 s for dead, and suspects it at once.
	other := p.store(t, clusterstore.Options{Times: clusterstore.Times{Lease: 10 * time.Second, Renew: time.Nanosecond}})
	if _, err := other.Open(t.Context(), e.ID()); !errors.As(err, new(*versions.LockedError)) {
		t.Errorf("got %v, want a *LockedError: it was renewed meanwhile", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// A holder that can't renew its Lease makes no change, and goes on when it can again.
func TestAway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	proxy, kubeconfig := sandboxtest.FaultProxy(t, p.kubeconfig)
	p.kubeconfig = kubeconfig
	s := p.store(t, clusterstore.Options{SigningKey: newKey(t), Times: clusterstore.Times{Renew: 50 * time.Millisecond, Stop: time.Second}})
	e, err := s.Begin(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	mark := func() error {
		unmark, err := e.MarkInFlight(versions.Mark{})
		if err == nil {
			err = unmark()
		}
		return err
	}
	eventually(t, "it can make changes", func() bool { return mark() == nil })
	if err := proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it can't make changes", func() bool {
		err := mark()
		return err != nil && strings.Contains(err.Error(), "its Lease was last renewed")
	})
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it can again", func() bool { return mark() == nil })
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// A Lease that somebody deletes is nobody's: its holder changes nothing more, and can undo what it did.
// It makes the Lease anew, so that others can undo that, too.
func TestLeaseDeleted(t *testing.T) {
	t.Parallel()
	p, key := newPlace(t), newKey(t)
	s := p.store(t, clusterstore.Options{SigningKey: key, Times: lively})
	e, f := begun(t, s, "x")
	if err := p.client(t).Delete(t.Context(), leaseKind, p.namespace, "ebb-"+e.ID(), kube.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	permit := func(undo bool) error {
		check, err := e.(versions.Losable).Permit(t.Context(), undo)
		if err == nil {
			err = check()
		}
		return err
	}
	eventually(t, "it may change nothing", func() bool {
		err := permit(false)
		return err != nil && strings.Contains(err.Error(), "its Lease was deleted")
	})
	if _, err := e.Flush(t.Context(), "pod", []byte("y")); err == nil || !strings.Contains(err.Error(), "its Lease was deleted") {
		t.Errorf("flush: got %v, want it refused", err)
	}
	if content, err := e.Read(t.Context(), f); err != nil || string(content) != "x" {
		t.Errorf("its own file: got %q, %v", content, err)
	}
	other := p.store(t, clusterstore.Options{PublicKeys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}})
	eventually(t, "others can read its file", func() bool {
		content, err := other.Read(t.Context(), f)
		return err == nil && string(content) == "x"
	})
	if _, err := other.Open(t.Context(), e.ID()); !errors.As(err, new(*versions.LockedError)) {
		t.Errorf("opened by another one: got %v, want a *LockedError", err)
	}
	if err := permit(false); err == nil || !strings.Contains(err.Error(), "its Lease was deleted") {
		t.Errorf("with its new Lease: got %v, want no change: another one could have had the execution", err)
	}
	if err := errors.Join(e.Remove(t.Context(), f), e.Close()); err != nil {
		t.Error(err)
	}
	p.wantEmpty(t, other)
}

// Another process that has the execution first keeps it.
func TestLeaseDeletedAndTaken(t *testing.T) {
	t.Parallel()
	p, key := newPlace(t), newKey(t)
	s := p.store(t, clusterstore.Options{SigningKey: key, Times: stopped})
	e, f := begun(t, s, "x")
	if err := p.client(t).Delete(t.Context(), leaseKind, p.namespace, "ebb-"+e.ID(), kube.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	other, err := p.store(t, clusterstore.Options{SigningKey: key, Times: hasty}).Open(t.Context(), e.ID())
	if err != nil {
		t.Fatal(err)
	}
	if content, err := other.Read(t.Context(), f); !errors.As(err, new(*versions.UntrustedError)) {
		t.Errorf("by another one: got %q, %v, want it refused: it was signed for the Lease that is gone", content, err)
	}
	if _, err := e.Flush(t.Context(), "pod", []byte("y")); !errors.As(err, new(*versions.LostError)) {
		t.Errorf("got %v, want a *LostError: the ordinal is used", err)
	}
	if err := errors.Join(other.Close(), e.Close()); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// A watch that could not see the Leases for a while does not take it for their holders' death: they could
// not renew them either.
func TestBlindTime(t *testing.T) {
	t.Parallel()
	p, key := newPlace(t), newKey(t)
	e, err := p.store(t, clusterstore.Options{SigningKey: key, Times: stopped}).Begin(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Flush(t.Context(), "pod", []byte("x")); err != nil {
		t.Fatal(err)
	}
	proxy, kubeconfig := sandboxtest.FaultProxy(t, p.kubeconfig)
	p.kubeconfig = kubeconfig
	s := p.store(t, clusterstore.Options{Times: clusterstore.Times{Lease: 400 * time.Millisecond}, Patience: 10 * time.Millisecond})
	unchanged := func() time.Duration {
		t.Helper()
		var sights []clusterstore.Sight
		eventually(t, "it is seen", func() bool {
			sights, _, err = s.Look(t.Context())
			return err == nil
		})
		if len(sights) != 1 {
			t.Fatalf("got %v, want the one execution", sights)
		}
		return sights[0].Unchanged
	}
	began := versions.ThisMachine().Uptime
	unchanged()
	if err := proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Look(t.Context()); err == nil {
		t.Fatal("it was looked at while its server was away")
	}
	blind := versions.ThisMachine().Uptime
	eventually(t, "the Lease would be over", func() bool { return versions.ThisMachine().Uptime-blind > time.Second })
	blind = versions.ThisMachine().Uptime - blind
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	if got, all := unchanged(), versions.ThisMachine().Uptime-began; got > all-blind {
		t.Errorf("a Lease is said to be unchanged for %s of %s, of which it could not be seen for %s", got, all, blind)
	}
	first := unchanged()
	eventually(t, "what can be seen counts again", func() bool { return unchanged() > first })
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
