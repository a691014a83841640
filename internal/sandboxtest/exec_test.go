package sandboxtest

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestExecAndOnNodeSeeTheSameProcesses(t *testing.T) {
	ns := Namespace(t)
	NeedTools(t, "pgrep", "setsid")
	c, _, _ := client(t, Kubeconfig(t))
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "a"},
		"spec": map[string]any{"nodeName": "worker-1", "containers": []any{map[string]any{"name": "main", "image": "image"}}},
	}}
	if _, err := c.Resource(pods).Namespace(ns).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(setUpLimit); ; time.Sleep(20 * time.Millisecond) {
		now, err := c.Resource(pods).Namespace(ns).Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if phase, _, _ := unstructured.NestedString(now.Object, "status", "phase"); phase == "Running" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the pod does not run")
		}
	}
	// Nobody else's, on a node that is not this test's alone.
	seconds := strconv.Itoa(100_000 + rand.IntN(900_000))
	got := Exec(t, ns, "a", "main", "sh", "-c", "setsid sleep "+seconds+" </dev/null >/dev/null 2>&1 & echo out; echo err >&2; exit 3")
	if got.Unsupported() {
		t.Skipf("SKIPPED, NOTHING WAS TESTED: %s", got.Stderr)
	}
	if (got != Result{"out\n", "err\n", 3}) {
		t.Errorf("got %+v", got)
	}
	if node := OnNode(t, "worker-1", "pgrep", "-c", "-f", "^sleep "+seconds+"$"); node.Code != 0 || node.Stdout != "1\n" {
		t.Errorf("on the pod's node: got %+v, want one process", node)
	}
	if other := OnNode(t, "worker-2", "pgrep", "-c", "-f", "^sleep "+seconds+"$"); other.Code != 1 || other.Stdout != "0\n" {
		t.Errorf("on the other node: got %+v, want none", other)
	}
	found := OnNode(t, "worker-1", "chroot", "/host", "crictl", "pods", "--name", "a", "--namespace", ns, "--quiet")
	if uid := strings.TrimSpace(found.Stdout); len(uid) != 36 {
		t.Errorf("crictl pods: got %+v, want an ID", found)
	}
}
