package builtins_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

var podKind = kube.Resource{Version: "v1", Kind: "Pod", Plural: "pods", Namespaced: true}

// pod makes a pod in which commands can be run, as somebody else would.
func (h *host) pod(t *testing.T, name string, annotations map[string]any, phase string) {
	t.Helper()
	_, err := h.client.Create(t.Context(), podKind, h.namespace, kube.Object{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name, "annotations": annotations},
		"spec": map[string]any{"restartPolicy": "Never", "containers": []any{map[string]any{"name": "main", "image": "image"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		pod, err := h.client.Get(t.Context(), podKind, h.namespace, name)
		if err != nil {
			t.Fatal(err)
		}
		if pod["status"].(map[string]any)["phase"] == phase {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("pod %q is not %s", name, phase)
		}
	}
	if phase != "Running" {
		return
	}
	if r := h.outside(t, name, "true"); (sandboxtest.Result{Stderr: r.Stderr, Code: r.Code}).Unsupported() {
		t.Skipf("SKIPPED, NOTHING WAS TESTED: %s", r.Stderr)
	}
}

// outside runs a command past the builtins.
func (h *host) outside(t *testing.T, pod string, words ...string) kube.ExecResult {
	t.Helper()
	r, err := h.client.Exec(t.Context(), kube.ExecOptions{Namespace: h.namespace, Pod: pod, Command: words})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// execPrelude is what the scripts below share.
const execPrelude = `
def cover_pod(name):
    set_rollback_callable(undo_it, RollbackContent(), verify = undo_it, undoes = [ref("Pod", name, NS)])

def sh(script, **kwargs):
    return k8s.exec("a", NS, ["sh", "-c", script], **kwargs)
`

func TestExecResult(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Undo, sandboxtest.Kubeconfig(t))
	h.pod(t, "a", nil, "Running")
	h.mustRun(t, execPrelude+`
def main():
    r = sh("cat; echo err >&2; exit 3", stdin = "in", check = False)
    if (r.stdout, r.stderr, r.code) != ("in", "err\n", 3):
        fail("got", r)
    r = k8s.exec("a", NS, ["printf", "%s|", "a b", "$HOME"], container = "main")
    if (r.stdout, r.stderr, r.code) != ("a b|$HOME|", "", 0):
        fail("got", r)
    failed = attempt(sh, "echo no good >&2; exit 3")
    if failed.ok or (failed.error.reason, failed.error.code) != ("Exec", 3) or not failed.error.message.endswith("ended with exit code 3: no good"):
        fail("got", failed)
    quiet = attempt(sh, "echo said on stdout; exit 1")
    if not quiet.error.message.endswith("ended with exit code 1: said on stdout"):
        fail("got", quiet)
    missing = attempt(k8s.exec, "b", NS, ["true"])
    if missing.error.reason != "NotFound":
        fail("got", missing)
`)
	h.wantError(t, `def main(): k8s.exec("a", NS, ["sleep", 1])`, "for parameter command: element 1 is a int, want a string")
	h.wantError(t, `def main(): k8s.exec("a", NS, [])`, "the command is empty")
	h.wantError(t, `def main(): k8s.exec("a", NS, "true")`, "for parameter command: got string, want list")
	h.wantError(t, `def main(): k8s.exec("a", "", ["true"])`, "needs a namespace")
	h.wantError(t, `def main(): k8s.exec("a", NS, ["true"], timeout = -1)`, "for parameter timeout: got -1 seconds")
}

func TestExecInEndedPod(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Undo, sandboxtest.Kubeconfig(t))
	h.pod(t, "a", map[string]any{"sandbox/complete-after": "1ms"}, "Succeeded")
	h.mustRun(t, `
def main():
    r = attempt(k8s.exec, "a", NS, ["true"])
    if r.error.reason != "NotFound":
        fail("got", r)
`)
}

func TestExecNeedsRef(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	h.pod(t, "a", nil, "Running")
	err := h.wantError(t, execPrelude+`def main(): sh("touch /tmp/x")`, "has no rollback that was flushed after its last change")
	if want := `ref("Pod", "a", "` + h.namespace + `")`; !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want the remedy %s", err, want)
	}
	if h.set != 0 || h.outside(t, "a", "test", "-e", "/tmp/x").Code != 1 {
		t.Error("the command was run")
	}
	// Reading needs none. A command that fails has been run: its rollback is used up.
	h.mustRun(t, execPrelude+`
def main():
    if sh("echo out", read_only = True).stdout != "out\n":
        fail("no output")
    cover_pod("a")
    sh("touch /tmp/x")
    cover_pod("a")
    attempt(sh, "touch /tmp/y; exit 1")
    again = attempt(k8s.exec, "b", NS, ["true"])
    if again.error.reason != "NotFound":
        fail("got", again)
`)
	h.wantError(t, execPrelude+`def main(): sh("touch /tmp/z")`, "has no rollback")
	if h.outside(t, "a", "sh", "-c", "ls /tmp").Stdout != "x\ny\n" || h.set < 2 || len(h.marks) != 0 {
		t.Errorf("%d marks were set, left are %v, want 2 or more, as a slow command's is renewed, and none", h.set, h.marks)
	}
	if n := h.Changes(); n != 2 {
		t.Errorf("%d changes, want 2", n)
	}
}

func TestExecOnlyReadsInVerify(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Verify, sandboxtest.Kubeconfig(t))
	h.pod(t, "a", nil, "Running")
	h.wantError(t, execPrelude+`def main(): sh("touch /tmp/x")`, "can't be called in a verify callable: it only reads")
	h.mustRun(t, execPrelude+`
def main():
    if sh("test -e /tmp/x", read_only = True, check = False).code != 1:
        fail("it was run")
`)
}

func TestExecIsPlanned(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Plan, sandboxtest.Kubeconfig(t))
	h.pod(t, "a", nil, "Running")
	h.mustRun(t, execPrelude+`
def main():
    r = sh("touch /tmp/x; exit 1")
    if (r.stdout, r.stderr, r.code) != ("", "", 0):
        fail("got", r)
    if sh("echo out", read_only = True).stdout != "out\n":
        fail("a command that only reads is run in a plan too")
`)
	want := []string{`run in Pod "a" in namespace "` + h.namespace + `": sh -c touch /tmp/x; exit 1`}
	if got := texts(h.Planned()); !slices.Equal(got, want) {
		t.Errorf("got actions %q, want %q", got, want)
	}
	if h.outside(t, "a", "test", "-e", "/tmp/x").Code != 1 {
		t.Error("the command was run")
	}
}

func TestExecTimeout(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	h.pod(t, "a", nil, "Running")
	h.mustRun(t, execPrelude+`
def main():
    read = attempt(sh, "sleep 3600", read_only = True, timeout = 2)
    if read.error.reason != "Timeout" or "has not ended after 2s" not in read.error.message:
        fail("got", read)
    cover_pod("a")
    changed = attempt(sh, "sleep 3600", timeout = 2)
    if changed.error.reason != "Timeout":
        fail("got", changed)
`)
	// How far the second one came is not known, so it stays marked and uncovered.
	if h.marks["exec Pod a"] != 1 {
		t.Errorf("marks left are %v, want the command's", h.marks)
	}
	h.wantError(t, execPrelude+`def main(): sh("true")`, "has no rollback")
}

func TestExecLostConnectionKeepsMark(t *testing.T) {
	t.Parallel()
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	h := newHost(t, builtins.Run, kubeconfig)
	h.pod(t, "a", nil, "Running")
	proxy.Handle(func(r *http.Request) sandboxtest.Fault {
		if strings.HasSuffix(r.URL.Path, "/exec") {
			return sandboxtest.Drop
		}
		return nil
	})
	h.mustRun(t, execPrelude+`
def main():
    cover_pod("a")
    r = attempt(sh, "true")
    if r.error.reason != "UnknownOutcome":
        fail("got", r)
`)
	if h.marks["exec Pod a"] != 1 {
		t.Errorf("marks left are %v, want the command's", h.marks)
	}
	h.wantError(t, execPrelude+`def main(): sh("true")`, "has no rollback")
}

func TestLogsBuiltin(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Verify, sandboxtest.Kubeconfig(t))
	h.pod(t, "a", nil, "Running")
	h.outside(t, "a", "sh", "-c", "printf 'one\\ntwo\\n' >/proc/1/fd/1")
	if got := h.mustRun(t, `def main(): return k8s.logs("a", NS, tail_lines = 1)`); got != starlark.String("two\n") {
		t.Errorf("got %v, want the last line", got)
	}
}
