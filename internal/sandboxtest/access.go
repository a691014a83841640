package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	namespaces      = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	pods            = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	services        = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	serviceAccounts = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
)

// setUpLimit bounds what a test waits for before it begins.
const setUpLimit = time.Minute

// Namespace makes a namespace for one test, in which pods can be created at once. At the end it is
// emptied, or deleted where the cluster outlives the tests; that is not waited for.
func Namespace(t testing.TB) string {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(connection.Transport) })
	client, err := dynamic.NewForConfigAndClient(config, connection)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), setUpLimit)
	defer cancel()
	name := "test-" + suffix()
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}
	if _, err := client.Resource(namespaces).Create(ctx, object, metav1.CreateOptions{}); err != nil {
		t.Fatalf("sandboxtest: namespace: %v", err)
	}
	t.Cleanup(func() {
		// The test's own context is over.
		ctx, cancel := context.WithTimeout(context.Background(), setUpLimit)
		defer cancel()
		if err := clear(ctx, client, name); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("sandboxtest: namespace %q: %v", name, err)
		}
	})
	// Without its default service account, a namespace refuses pods.
	err = wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := client.Resource(serviceAccounts).Namespace(name).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		t.Fatalf("sandboxtest: default service account of %q: %v", name, err)
	}
	return name
}

// clear ends what is in a namespace. A namespace that is deleted is a hundred requests to the
// sandbox, which soon ends with all that is in it: there only what takes memory or addresses goes.
func clear(ctx context.Context, client dynamic.Interface, name string) error {
	if os.Getenv(clusterVariable) != "" {
		return client.Resource(namespaces).Delete(ctx, name, metav1.DeleteOptions{})
	}
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	return errors.Join(
		client.Resource(pods).Namespace(name).DeleteCollection(ctx, now, metav1.ListOptions{}),
		client.Resource(services).Namespace(name).DeleteCollection(ctx, now, metav1.ListOptions{}),
	)
}

// User makes a user with just these rights, each such as "create,get:pods/exec" or
// "get:namespaces@kube-system" (ebb-sandbox user --help). They hold in the namespace
// or, if that is empty, in the cluster. It returns the user's kubeconfig and name.
func User(t testing.TB, namespace string, rights ...string) (kubeconfig, name string) {
	t.Helper()
	admin := Kubeconfig(t)
	name = "alice-" + suffix()
	kubeconfig = filepath.Join(t.TempDir(), name)
	args := []string{"user", "--kubeconfig", admin, "--name", name, "--out", kubeconfig}
	if namespace != "" {
		args = append(args, "--namespace", namespace)
	}
	for _, right := range rights {
		args = append(args, "--allow", right)
	}
	ctx, cancel := context.WithTimeout(t.Context(), setUpLimit)
	defer cancel()
	if err := run(ctx, args...); err != nil {
		t.Fatalf("sandboxtest: user: %v", err)
	}
	return kubeconfig, name
}

func suffix() string { return fmt.Sprintf("%08x", rand.Uint32()) }
