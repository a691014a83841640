package sandboxtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestMain(m *testing.M) {
	if os.Getenv(userEnv) != "" && os.Getenv(keeperEnv) == "" { // the keeper inherits it
		if err := useSandbox(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := Main(m)
	for limit := time.Now().Add(time.Minute); code == 0; {
		// It waits for half a second itself, which may be short for a connection that is being closed.
		err := goleak.Find()
		if err == nil {
			break
		}
		if time.Now().After(limit) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func client(t *testing.T, kubeconfig string) (dynamic.Interface, *http.Client, string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(connection.Transport) })
	c, err := dynamic.NewForConfigAndClient(config, connection)
	if err != nil {
		t.Fatal(err)
	}
	return c, connection, config.Host
}

func TestNamespaceTakesPodsAtOnce(t *testing.T) {
	ns := Namespace(t)
	if other := Namespace(t); other == ns {
		t.Errorf("got %q twice", ns)
	}
	c, _, _ := client(t, Kubeconfig(t))
	pod := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "p"},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "c", "image": "none"}}},
	}}
	if _, err := c.Resource(pods).Namespace(ns).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
}

func TestUserHasJustTheseRights(t *testing.T) {
	ns := Namespace(t)
	file, name := User(t, ns, "get,list:pods")
	c, _, _ := client(t, file)
	if _, err := c.Resource(pods).Namespace(ns).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	err := c.Resource(pods).Namespace(ns).Delete(t.Context(), "p", metav1.DeleteOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), name) {
		t.Errorf("delete: got %v, want it forbidden to %s", err, name)
	}
	if _, err := c.Resource(pods).Namespace("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("elsewhere: got %v, want it forbidden", err)
	}
}

func TestFaults(t *testing.T) {
	for protocol, start := range map[string]func(testing.TB, string) (*Proxy, string){"1.1": FaultProxy, "2.0": FaultProxyHTTP2} {
		proxy, file := start(t, Kubeconfig(t))
		_, connection, host := client(t, file)
		get := func() (int, string, error) {
			response, err := connection.Get(host + "/version")
			if err != nil {
				return 0, "", err
			}
			if got := strings.TrimPrefix(response.Proto, "HTTP/"); got != protocol {
				t.Errorf("got HTTP/%s, want %s", got, protocol)
			}
			body, err := io.ReadAll(response.Body)
			return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
		}
		if code, body, err := get(); code != 200 || err != nil || !strings.Contains(body, "gitVersion") {
			t.Errorf("HTTP/%s, pass: got %d %q, %v", protocol, code, body, err)
		}
		for name, f := range map[string]Fault{"Drop": Drop, "DropAnswer": DropAnswer, "HalfAnswer": HalfAnswer} {
			proxy.Script(http.MethodGet, f, f, f) // net/http repeats a GET
			if code, body, err := get(); err == nil {
				t.Errorf("HTTP/%s, %s: got %d %q, want an error", protocol, name, code, body)
			}
		}
		proxy.Script(http.MethodGet, Refuse(429, 7*time.Second), ReplaceAnswer(502))
		for _, want := range []int{429, 502, 200} {
			if code, _, err := get(); code != want || err != nil {
				t.Errorf("HTTP/%s: got %d, %v, want %d", protocol, code, err, want)
			}
		}
		release := make(chan struct{})
		proxy.Script(http.MethodGet, Hold(release))
		time.AfterFunc(10*time.Millisecond, func() { close(release) })
		if code, _, err := get(); code != 200 || err != nil {
			t.Errorf("HTTP/%s, held: got %d, %v", protocol, code, err)
		}
		if err := proxy.Stop(); err != nil {
			t.Fatal(err)
		}
		// The first may still go out on a connection that has just been cut.
		code, _, err := get()
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			code, _, err = get()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("HTTP/%s, stopped: got %d, %v, want the connection refused", protocol, code, err)
		}
		if err := proxy.Start(); err != nil {
			t.Fatal(err)
		}
		if code, _, err := get(); code != 200 || err != nil {
			t.Errorf("HTTP/%s, started again: got %d, %v", protocol, code, err)
		}
		if got := proxy.Requests(); got[0] != "GET /version" {
			t.Errorf("got %v", got)
		}
	}
}

func TestMissingBinarySaysWhatToRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inner)
	if got, err := findBinary(); err == nil || !strings.HasSuffix(err.Error(), "run: make sandbox") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var log tail
	for _, text := range []string{strings.Repeat("a", 5000), "the end"} {
		if _, err := io.Copy(&log, bytes.NewBufferString(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := log.String(); len(got) != 4096 || !strings.HasSuffix(got, "athe end") {
		t.Errorf("got %d bytes ending in %q", len(got), got[len(got)-10:])
	}
}
