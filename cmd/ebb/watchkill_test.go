package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// newKeyFile makes a key, and beside it its public one.
func newKeyFile(t *testing.T) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key.pem")
	if out, err := exec.Command("ebb", "keys", "new", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return key
}

// moveAway has the holders of all Leases be on another machine, where nobody can look for their processes.
func (h *faultedRun) moveAway() {
	h.Helper()
	list, err := h.admin.CoordinationV1().Leases(h.store).List(h.Context(), metav1.ListOptions{})
	h.check(err)
	for _, lease := range list.Items {
		var holder map[string]any
		h.check(json.Unmarshal([]byte(lease.Annotations["ebb.dev/holder"]), &holder))
		delete(holder, "boot")
		text, err := json.Marshal(holder)
		h.check(err)
		h.patchLease(fmt.Sprintf(`{"metadata":{"annotations":{"ebb.dev/holder":%q}}}`, text))
	}
}

// begin starts a run and returns once its first change is made.
func (h *faultedRun) begin(set func(*exec.Cmd), timeout string) *running {
	h.Helper()
	run := h.startWith(set, "", "run", "--config", "config.yaml", "--timeout", timeout)
	over := false
	if !eventually(func() bool {
		select {
		case <-run.ended:
			over = true
		default:
		}
		return over || len(h.objects()) == 1
	}) || over {
		h.Fatalf("no chaos: %s", h.said(run))
	}
	return run
}

// refusedBefore has a policy refuse Secrets from the start: nothing is changed, and the message says what is
// refused, and what helps.
func (h *faultedRun) refusedBefore() {
	h.refuse("CREATE")
	h.openGate()
	code, said := h.ebb("", "run", "--config", "config.yaml", "--timeout", "30s")
	if code != "4" || !strings.Contains(said, "no version file can be written to cluster://"+h.store) || !strings.Contains(said, "hint: let the namespace of the store take Secrets") {
		h.Errorf("exit code %s, want 4, what is refused and what helps:\n%s", code, said)
	}
	if left := h.objects(); len(left) > 0 || h.pendingSecrets() > 0 {
		h.Errorf("left: %v and %d pending Secrets, want nothing", left, h.pendingSecrets())
	}
}

// TestKillWatched has a watch undo what a runner left on another machine that was killed, on the times of a cluster: within
// 90 s. It waits for more than a minute, and is a part of make soak.
func TestKillWatched(t *testing.T) {
	t.Parallel()
	if os.Getenv("EBB_SOAK_KILLS") == "" {
		t.Skip("takes two minutes: make soak runs it")
	}
	key := newKeyFile(t)
	h := newFaultedRun(t, inCluster, key, false)
	run := h.begin(nil, "30s")
	h.moveAway()
	watch := h.start("", "watch", "--store-kubeconfig", "store.kubeconfig", "--store-namespace", h.store,
		"--public-keys", key+".pub", "--kubeconfig", sandboxtest.Kubeconfig(t), "--replay")
	h.kill(run)
	began := time.Now()
	if !eventually(func() bool { return len(h.objects()) == 0 }) {
		h.Fatalf("not undone: %s", h.said(watch))
	}
	undone := time.Since(began)
	h.await(watch, "restored .*, which ")
	t.Logf("figures: undone %.0f s after the runner stopped, verified again after %.0f s", undone.Seconds(), time.Since(began).Seconds())
	if undone > 90*time.Second {
		t.Errorf("undone after %s, want 90 s", undone)
	}
}
