package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
	clientexec "k8s.io/client-go/util/exec"
)

func init() {
	kinds["persistentvolumeclaims"] = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
}

// podCommandLimit only ends a test that hangs.
const podCommandLimit = time.Minute

// inpod POD[/CONTAINER] FILE COMMAND ARG... runs a command in a pod of $NS, not through
// ebb, and writes its standard output to FILE; "-" for nowhere. With ! it must fail.
func cmdInPod(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: inpod POD[/CONTAINER] FILE COMMAND ARG...")
	}
	pod, container, _ := strings.Cut(args[0], "/")
	stdout, code, err := runInPod(ts, pod, container, args[2:])
	switch {
	case err != nil:
		ts.Fatalf("inpod %s: %v", args[0], err)
	case neg != (code != 0):
		ts.Fatalf("inpod %s: exit code is %d; it said:\n%s", args[0], code, stdout)
	}
	if args[1] != "-" {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(stdout), 0o600))
	}
}

// waitpod POD[/CONTAINER] COMMAND ARG... waits until a command in a pod succeeds.
func cmdWaitPod(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitpod POD[/CONTAINER] COMMAND ARG...")
	}
	pod, container, _ := strings.Cut(args[0], "/")
	var stdout string
	var code int
	var err error
	if !eventually(func() bool {
		stdout, code, err = runInPod(ts, pod, container, args[1:])
		return err == nil && code == 0
	}) {
		ts.Fatalf("waitpod %s: exit code is still %d, error %v; it said:\n%s", args[0], code, err, stdout)
	}
}

// runInPod returns the outputs, joined, and the exit code of a command in a pod of $NS.
func runInPod(ts *testscript.TestScript, pod, container string, command []string) (string, int, error) {
	return runIn(ts, ts.Getenv("NS"), pod, container, command)
}

func runIn(ts *testscript.TestScript, namespace, pod, container string, command []string) (string, int, error) {
	config, err := clientcmd.BuildConfigFromFlags("", ts.Getenv("KUBECONFIG"))
	if err != nil {
		return "", 0, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", 0, err
	}
	request := client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(config, "POST", request.URL())
	if err != nil {
		return "", 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), podCommandLimit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	var exit clientexec.ExitError
	switch {
	case errors.As(err, &exit):
		return stdout.String() + stderr.String(), exit.ExitStatus(), nil
	case err != nil:
		return "", 0, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return stdout.String(), 0, nil
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
	config, err := clientcmd.BuildConfigFromFlags("", ts.Getenv("KUBECONFIG"))
	ts.Check(err)
	client, err := kubernetes.NewForConfig(config)
	ts.Check(err)
	nodes, ctx := client.CoreV1().Nodes(), context.Background()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: args[0], Labels: map[string]string{"kubernetes.io/hostname": args[0]}},
		Spec:       corev1.NodeSpec{Unschedulable: true}, // for the pods of other scripts it would end too soon
	}
	if _, err := nodes.Create(ctx, node, metav1.CreateOptions{}); err == nil {
		ts.Defer(func() { ts.Check(nodes.Delete(ctx, args[0], metav1.DeleteOptions{})) })
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
	_, err = nodes.PatchStatus(ctx, args[0], fmt.Appendf(nil, `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, port))
	ts.Check(err)
}
