package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// storeElsewhere has the version files in another cluster than the one that is changed: it goes away in
// mid-run, and whoever has both undoes what is left, lists it, and watches it. A backup of it is restored
// in mid-run: a runner that lives writes its files there again.
func (a *away) storeElsewhere(t *testing.T) {
	w := &world{T: t, client: adminClient(t), namespace: sandboxtest.Namespace(t), dir: t.TempDir()}
	store, target := a.server.Namespace(t), sandboxtest.Kubeconfig(t)
	if err := os.Mkdir(filepath.Join(w.dir, "steps"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("steps/gated.star", "%s", gatedSteps)
	w.write("gated.yaml", "{namespace: %s}\n", w.namespace)
	w.write("config.yaml", `kraken: {kubeconfig_path: %q, scenario_scripts_directory: steps, rollback_store: cluster,
  rollback_store_kubeconfig_path: %q, rollback_store_namespace: %s, rollback_signing_key_path: key.pem, chaos_scenarios: [gated_scenarios: [gated.yaml]]}
`, target, a.server.Kubeconfig, store)
	// Whoever looks is on the same machine as the dead runner: nobody waits for its Lease to end.
	quick := func(c *exec.Cmd) { c.Env = append(c.Env, "EBB_STORE_TIMES=60s,1s,20s,200ms") }
	ebb := func(want string, args ...string) string {
		t.Helper()
		p := w.startWith(quick, "", args...)
		if code := w.finish(p); code != want {
			t.Errorf("%q: exit code %s, want %s:\n%s", args, code, want, w.said(p))
		}
		return w.said(p)
	}
	inStore := []string{"--store", "cluster", "--store-kubeconfig", a.server.Kubeconfig, "--store-namespace", store, "--kubeconfig", target}
	pending := func() int {
		t.Helper()
		list, err := a.client.CoreV1().Secrets(store).List(context.Background(), metav1.ListOptions{LabelSelector: "ebb.dev/state=pending"})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	changes := func(p *running) {
		t.Helper()
		if !eventually(func() bool { return len(w.objects()) == 1 }) {
			t.Fatalf("no chaos:\n%s", w.said(p))
		}
	}
	ebb("0", "keys", "new", "key.pem")

	run := w.startWith(quick, "", "run", "--config", "config.yaml", "--timeout", "5s")
	changes(run)
	a.server.Kill(t)
	h := &faultedRun{world: w}
	h.openGate()
	if code := w.finish(run); code != "3" || len(w.objects()) > 0 {
		t.Errorf("without its store: exit code %s, want 3 since that can't be written, and left: %v\n%s", code, w.objects(), w.said(run))
	}
	backup := a.backUp(t)
	a.server.Start(t)
	if out := ebb("0", append([]string{"list-rollback", "--pending"}, inStore...)...); !strings.Contains(out, "gated_scenarios_") || pending() != 1 {
		t.Errorf("%d Secrets are pending, want the one of the change that was undone:\n%s", pending(), out)
	}
	if out := ebb("0", append([]string{"execute-rollback", "--public-keys", "key.pem.pub"}, inStore...)...); pending() != 0 {
		t.Errorf("%d Secrets are still pending:\n%s", pending(), out)
	}

	h.closeGate()
	run = w.startWith(quick, "", "run", "--config", "config.yaml")
	changes(run)
	// The backup knows nothing of this run. It also has the file of the run before, which is undone since.
	a.restore(t, backup)
	w.await(run, `gated_scenarios_\S+ was deleted or changed by somebody, or lost with the state of its cluster, and is written again`)
	w.kill(run)
	watch := w.startWith(quick, "", append([]string{"watch", "--replay", "--public-keys", "key.pem.pub"}, inStore...)...)
	w.await(watch, `restored \d{19}-\S+, which PID \d+`)
	if !eventually(func() bool { return len(w.objects()) == 0 && pending() == 0 }) {
		t.Errorf("left after the watch: %v, and %d pending Secrets\n%s", w.objects(), pending(), w.said(watch))
	}
	if err := watch.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := w.finish(watch); code != "0" {
		t.Errorf("the watch ended with %s:\n%s", code, w.said(watch))
	}
}

// backUp copies the state of a server that does not run.
func (a *away) backUp(t *testing.T) (backup string) {
	t.Helper()
	backup = filepath.Join(t.TempDir(), "backup")
	if out, err := exec.Command("cp", "-a", a.server.Data, backup).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return backup
}

// restore gives a server an earlier state.
func (a *away) restore(t *testing.T, backup string) {
	t.Helper()
	a.server.Kill(t)
	if err := errors.Join(os.RemoveAll(a.server.Data), os.Rename(backup, a.server.Data)); err != nil {
		t.Fatal(err)
	}
	a.server.Start(t)
}
