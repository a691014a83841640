package sandboxtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
	clientexec "k8s.io/client-go/util/exec"
)

var nodes = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}

// Result is what a command left.
type Result struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Code   int    `json:"code"`
}

// Unsupported tells whether the sandbox refused to run a command because this machine
// does not let it keep commands away from it. Tests skip then.
func (r Result) Unsupported() bool {
	return r.Code == 126 && strings.Contains(r.Stderr, "this machine does not allow the namespaces")
}

// Exec runs a command in a container, as the cluster's administrator and past all of
// ebb's own code. The container may be "" if the pod has one.
func Exec(t testing.TB, namespace, pod, container string, command ...string) Result {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{"command": command, "stdout": {"true"}, "stderr": {"true"}}
	if container != "" {
		query.Set("container", container)
	}
	address, err := url.Parse(config.Host + "/api/v1/namespaces/" + namespace + "/pods/" + pod + "/exec?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	executor, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), setUpLimit)
	defer cancel()
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	r := Result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit clientexec.ExitError
	switch {
	case errors.As(err, &exit):
		r.Code = exit.ExitStatus()
	case err != nil:
		t.Fatalf("sandboxtest: exec %q in pod %q: %v", command, pod, err)
	}
	return r
}

// OnNode runs a command on a node: in its network, among the processes of its pods,
// with the node's root at /host. No pod is made for it.
func OnNode(t testing.TB, node string, command ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), setUpLimit)
	defer cancel()
	r, err := RunOnNode(ctx, Kubeconfig(t), node, command...)
	if err != nil {
		t.Fatalf("sandboxtest: run %q on node %q: %v", command, node, err)
	}
	return r
}

// RunOnNode is [OnNode] for those that have no test at hand, but the kubeconfig of the
// sandbox's administrator.
func RunOnNode(ctx context.Context, kubeconfig, node string, command ...string) (r Result, err error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return r, err
	}
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		return r, err
	}
	defer utilnet.CloseIdleConnectionsFor(connection.Transport)
	client, err := dynamic.NewForConfigAndClient(config, connection)
	if err != nil {
		return r, err
	}
	object, err := client.Resource(nodes).Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return r, err
	}
	port, found, err := unstructured.NestedInt64(object.Object, "status", "daemonEndpoints", "kubeletEndpoint", "Port")
	if err != nil || !found {
		return r, errors.Join(errors.New("the node has no server: is it the sandbox's"), err)
	}
	address := fmt.Sprintf("https://127.0.0.1:%d/run/%s?%s", port, url.PathEscape(node), url.Values{"command": command}.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return r, err
	}
	response, err := connection.Do(request)
	if err != nil {
		return r, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return r, err
	}
	if response.StatusCode != http.StatusOK {
		return r, fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return r, json.Unmarshal(body, &r)
}
