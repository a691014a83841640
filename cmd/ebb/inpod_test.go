package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func init() {
	kinds["persistentvolumeclaims"] = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	kinds["persistentvolumes"] = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumes"}
}

// inpod POD[/CONTAINER] FILE COMMAND ARG... runs a command in a pod of $NS, not through
// ebb, and writes its standard output to FILE; "-" for nowhere. With ! it must fail.
func cmdInPod(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: inpod POD[/CONTAINER] FILE COMMAND ARG...")
	}
	r := runInPod(ts, args[0], args[2:])
	if neg != (r.Code != 0) {
		ts.Fatalf("inpod %s: exit code is %d; it said:\n%s%s", args[0], r.Code, r.Stdout, r.Stderr)
	}
	if args[1] != "-" {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(r.Stdout), 0o600))
	}
}

// waitpod POD[/CONTAINER] COMMAND ARG... waits until a command in a pod succeeds.
func cmdWaitPod(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitpod POD[/CONTAINER] COMMAND ARG...")
	}
	var r sandboxtest.Result
	if !eventually(func() bool {
		r = runInPod(ts, args[0], args[1:])
		return r.Code == 0
	}) {
		ts.Fatalf("waitpod %s: exit code is still %d; it said:\n%s%s", args[0], r.Code, r.Stdout, r.Stderr)
	}
}

// runInPod runs a command, and skips the script where no command can be run.
func runInPod(ts *testscript.TestScript, target string, command []string) sandboxtest.Result {
	pod, container, _ := strings.Cut(target, "/")
	r := sandboxtest.Exec(testOf(ts), ts.Getenv("NS"), pod, container, command...)
	if r.Unsupported() {
		testOf(ts).Skipf("SKIPPED, NOTHING OF THIS WAS TESTED: %s", r.Stderr)
	}
	return r
}

// read VAR KIND NAME PATH puts a field of an object in $NS, a string, into a variable.
func cmdRead(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: read VAR KIND NAME PATH")
	}
	for _, item := range named(ts, args[1], args[2]) {
		if value, ok := walk(item.Object, strings.Split(args[3], ".")).(string); ok {
			ts.Setenv(args[0], value)
			return
		}
	}
	ts.Fatalf("no %s %s has a string at %s", args[1], args[2], args[3])
}

// node NAME up makes a node for pods that name it; it ends with the script. node NAME
// down takes its kubelet away, so that nothing can be run there, and up brings it back.
func cmdNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || args[1] != "up" && args[1] != "down" {
		ts.Fatalf("usage: node NAME up|down")
	}
	nodes, ctx := clientset(ts).CoreV1().Nodes(), context.Background()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: args[0], Labels: map[string]string{"kubernetes.io/hostname": args[0]}},
		Spec:       corev1.NodeSpec{Unschedulable: true}, // for the pods of other scripts it would end too soon
	}
	if _, err := nodes.Create(ctx, node, metav1.CreateOptions{}); err == nil {
		ts.Defer(func() {
			if err := nodes.Delete(ctx, args[0], metav1.DeleteOptions{}); err != nil {
				ts.Logf("delete node %s: %v", args[0], err)
			}
		})
	} else if !apierrors.IsAlreadyExists(err) {
		ts.Fatalf("node %s: %v", args[0], err)
	}
	// Nobody listens on port 1, and all kubelets of the sandbox share their port.
	port := int32(1)
	if args[1] == "up" {
		if !eventually(func() bool {
			worker, err := nodes.Get(ctx, "worker-1", metav1.GetOptions{})
			ts.Check(err)
			port = worker.Status.DaemonEndpoints.KubeletEndpoint.Port
			found, err := nodes.Get(ctx, args[0], metav1.GetOptions{})
			ts.Check(err)
			return port != 0 && len(found.Status.Conditions) > 0
		}) {
			ts.Fatalf("node %s is not played", args[0])
		}
	}
	_, err := nodes.PatchStatus(ctx, args[0], fmt.Appendf(nil, `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, port))
	ts.Check(err)
}
