package main

import (
	"bufio"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// TestTermEndsInTime tells a process in trouble to end, by SIGTERM and in the time that a pod
// gets: it has to end by itself, with what is not restored pending. Whatever it waits for just
// then must not keep it, and nothing may have the grace anew. Kubernetes gives 30 s and ebb
// takes 25; so that the tests don't wait for that, they get a grace of 2 s. The limit is far longer,
// for a busy machine: what does not heed the grace says so. EBB_MATRIX=all has them all in full.
func TestTermEndsInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		scenario string // of steps, extra keys
		script   string // in place of steps
		until    string // what it says when it gets the signal
		trouble  func(w *world, p *sandboxtest.Proxy)
		replay   bool // it is a replay of three killed runs that gets it
	}{
		"three files": {until: "waiting 10m: steps are done", trouble: silent},
		"server down": {until: "waiting 10m: steps are done", trouble: func(w *world, p *sandboxtest.Proxy) {
			if err := p.Stop(); err != nil {
				w.Error(err)
			}
		}},
		"finalizers":            {until: "waiting 10m: steps are done", scenario: "finalizers: [example.com/hold]"},
		"replays":               {replay: true, until: "Undoing step", scenario: "finalizers: [example.com/hold]", trouble: silent},
		"in parallel":           {script: inParallel, until: "waiting 10m: both", trouble: silent},
		"the settling of marks": {script: held, until: "on its way"},
		"a command that hangs":  {script: execHangs, until: "on its way", trouble: silent},
		"a verify that repeats": {script: neverVerified, until: "waiting 10m: done"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
			w := newSteps(t, kubeconfig, "one", "two", "three")
			w.write("steps.yaml", "{namespace: %s, steps: [one, two, three], duration: 600, %s}\n", w.namespace, c.scenario)
			if c.script != "" {
				w.write("steps/steps.star", "%s", strings.Replace(c.script, "NAMESPACE", w.namespace, -1))
				w.write("steps.yaml", "{}\n")
			}
			args := []string{"run", "--config", "config.yaml"}
			if c.replay {
				for _, step := range []string{"a", "b", "c"} {
					w.write("steps.yaml", "{namespace: %s, steps: [%s], duration: 600, %s}\n", w.namespace, step, c.scenario)
					if code, said := w.ebb("kill@after-change:1", args...); code != "killed" {
						t.Fatalf("run: exit code %s:\n%s", code, said)
					}
				}
				args = []string{"execute-rollback", "--config", "config.yaml", "--parallel", "2"}
			}
			if c.script == held {
				proxy.Handle(func(r *http.Request) sandboxtest.Fault {
					if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "configmaps") {
						return sandboxtest.Silent
					}
					return nil
				})
			}
			grace, limit := "2s", 20*time.Second // the rest is for a busy machine
			if os.Getenv("EBB_MATRIX") == "all" {
				grace, limit = "25s", 30*time.Second
			}
			p := w.start("", append(args, "--grace", grace)...)
			w.await(p, c.until)
			if c.trouble != nil {
				c.trouble(w, proxy)
			}
			want := "3"
			if c.script == held && grace == "25s" {
				want = "130" // its mark is settled before that, and there is nothing
			}
			w.terminate(p, limit, want)
			if strings.Contains(w.said(p), "still not done") {
				t.Errorf("something did not heed the end of the grace; it said:\n%s", w.said(p))
			}

			proxy.Handle(nil)
			if err := proxy.Start(); err != nil && !strings.Contains(err.Error(), "already") {
				t.Error(err)
			}
			w.freeAll()
			if c.script != neverVerified {
				w.replay()
			}
		})
	}
}

func silent(_ *world, p *sandboxtest.Proxy) {
	p.Handle(func(*http.Request) sandboxtest.Fault { return sandboxtest.Silent })
}

// terminate sends SIGTERM, and SIGKILL after the limit, which must not be necessary.
func (w *world) terminate(p *running, limit time.Duration, want string) {
	w.Helper()
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		w.Fatal(err)
	}
	killer := time.AfterFunc(limit, func() {
		if err := p.Process.Kill(); err != nil {
			w.Log(err) // it ended by itself just now
		}
	})
	defer killer.Stop()
	code := w.finish(p)
	if !slices.Contains(strings.Fields(want), code) {
		w.Errorf("got exit code %s, want %s; it said:\n%s", code, want, w.said(p))
	}
	w.checkEnded(code, w.said(p))
}

const inParallel = `
scenario = Scenario(type = "steps_scenarios", fields = {}, rights = [], help = "three at once")

def run(config):
    names = ["one", "two", "three"]
    set_rollback_callable(gone, RollbackContent(namespace = "NAMESPACE", names = names), verify = left, undoes = [ref("ConfigMap", name, "NAMESPACE") for name in names])

    def make(name):
        k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "NAMESPACE"}})
        time.sleep(600, "both " + name)

    parallel(make, names)

def gone(rollback_content):
    """Deletes the config maps."""

    def delete(name):
        return attempt(k8s.delete, "ConfigMap", name, rollback_content.namespace, owned = True, ignore_not_found = True)

    for result in parallel(delete, rollback_content.names):
        if not result.ok:
            fail(result.error.message)

def left(rollback_content):
    """Fails while one is there."""
    if [name for name in rollback_content.names if k8s.get("ConfigMap", name, rollback_content.namespace) != None]:
        fail("still there")
`

// held makes a config map whose answer does not come.
const held = `
scenario = Scenario(type = "steps_scenarios", fields = {}, rights = [], help = "one that hangs")

def run(config):
    set_rollback_callable(gone, RollbackContent(namespace = "NAMESPACE"), verify = left, undoes = [ref("ConfigMap", "one", "NAMESPACE")])
    log.info("on its way")
    k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "NAMESPACE"}})

def gone(rollback_content):
    """Deletes the config map."""
    k8s.delete("ConfigMap", "one", rollback_content.namespace, owned = True, ignore_not_found = True)

def left(rollback_content):
    """Fails while it is there."""
    if k8s.get("ConfigMap", "one", rollback_content.namespace) != None:
        fail("still there")
`

const neverVerified = `
scenario = Scenario(type = "steps_scenarios", fields = {}, rights = [], help = "one whose verify fails")

def run(config):
    set_rollback_callable(gone, RollbackContent(namespace = "NAMESPACE"), verify = left, undoes = [ref("ConfigMap", "one", "NAMESPACE")])
    k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "NAMESPACE"}})
    time.sleep(600, "done")

def gone(rollback_content):
    """Deletes the config map."""
    k8s.delete("ConfigMap", "one", rollback_content.namespace, owned = True, ignore_not_found = True)

def left(rollback_content):
    """Never passes."""
    fail("so it is")
`

const execHangs = `
scenario = Scenario(type = "steps_scenarios", fields = {}, rights = [], help = "a command that hangs")

def run(config):
    set_rollback_callable(gone, RollbackContent(namespace = "NAMESPACE"), verify = left, undoes = [ref("Pod", "one", "NAMESPACE")])
    k8s.create({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "namespace": "NAMESPACE"},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "example.com/main:1"}]},
    })
    k8s.wait("Pod", "one", "NAMESPACE", until = lambda pod: pod["status"].get("phase") == "Running")
    set_rollback_callable(gone, RollbackContent(namespace = "NAMESPACE"), verify = left, undoes = [ref("Pod", "one", "NAMESPACE")])
    log.info("on its way")
    k8s.exec("one", "NAMESPACE", ["sleep", "600"], timeout = 600)

def gone(rollback_content):
    """Deletes the pod."""
    k8s.delete("Pod", "one", rollback_content.namespace, owned = True, ignore_not_found = True)

def left(rollback_content):
    """Fails while it is there."""
    if k8s.get("Pod", "one", rollback_content.namespace) != None:
        fail("still there")
`

// freeAll takes the finalizers away that hold the config maps.
func (w *world) freeAll() {
	w.Helper()
	for _, o := range w.objects() {
		w.free(o.name)
	}
}

// TestTermWithHangingPlugin: client-go waits for a credential plugin, whatever the context says.
func TestTermWithHangingPlugin(t *testing.T) {
	t.Parallel()
	_, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	w := newSteps(t, kubeconfig, "one", "two")
	w.write("steps.yaml", "{namespace: %s, steps: [one, two], duration: 600}\n", w.namespace)
	// Its token is out of date at once, so that it is asked each time. Without its directory it ends.
	w.write("plugin", `#!/bin/sh
while [ -e %[1]q/hang ]; do sleep 0.1; done
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"}}'
`, w.dir)
	if err := os.Chmod(filepath.Join(w.dir, "plugin"), 0o700); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.AuthInfos["proxy"] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: filepath.Join(w.dir, "plugin"), InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}}
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	p := w.start("", "run", "--config", "config.yaml", "--grace", "2s")
	w.await(p, "waiting 10m: steps are done")
	w.write("hang", "")
	w.terminate(p, 20*time.Second, "3")
	if strings.Contains(w.said(p), "still not done") {
		t.Errorf("the plugin kept it beyond its grace; it said:\n%s", w.said(p))
	}
	if err := os.Remove(filepath.Join(w.dir, "hang")); err != nil {
		t.Fatal(err)
	}
	w.replay()
}

// TestTermWithBlockedLog: a terminal that was stopped with Ctrl-S, or a pager that is not read, takes no line.
func TestTermWithBlockedLog(t *testing.T) {
	t.Parallel()
	w := newSteps(t, sandboxtest.Kubeconfig(t), "one", "two")
	w.write("steps.yaml", "{namespace: %s, steps: [one, two], duration: 600}\n", w.namespace)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := w.startWith(func(c *exec.Cmd) { c.Stderr = write }, "", "run", "--config", "config.yaml", "--grace", "1s")
	lines := bufio.NewScanner(read)
	for lines.Scan() && !strings.Contains(lines.Text(), "waiting 10m") {
	}
	// No more is read, and the pipe is full: to its last byte, since a short write would fit.
	fd := int(write.Fd()) // once: it makes the file blocking
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for n := 1 << 16; n > 0; {
		if _, err := syscall.Write(fd, make([]byte, n)); err != nil {
			n /= 2
		}
	}
	if err := syscall.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	w.terminate(p, 20*time.Second, "3")
	if err := errors.Join(read.Close(), write.Close()); err != nil {
		t.Fatal(err)
	}
	w.replay()
}
