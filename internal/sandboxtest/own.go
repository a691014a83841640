package sandboxtest

import (
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// Server is a sandbox that belongs to one test, which may stop it and start it again: the
// cluster, its address and its kubeconfig stay.
type Server struct {
	Kubeconfig string
	Data       string // its directory, with the certificates and keys

	binary  string
	port    int
	process *exec.Cmd
}

// Own starts a sandbox for one test alone. It takes some seconds and 300 MB: use
// [Kubeconfig] for everything but a server that goes away.
func Own(t testing.TB) *Server {
	t.Helper()
	binary, err := findBinary()
	if err != nil {
		t.Fatalf("sandboxtest: %v", err)
	}
	dir := t.TempDir()
	s := &Server{Kubeconfig: filepath.Join(dir, "kubeconfig"), Data: filepath.Join(dir, "data"), binary: binary, port: reservePort(t)}
	s.Start(t)
	t.Cleanup(func() {
		if s.process == nil {
			return
		}
		s.Signal(t, syscall.SIGCONT) // it may have been stopped
		if err := end(s.process); err != nil {
			t.Errorf("sandboxtest: %v", err)
		}
	})
	return s
}

// Start starts it, again if need be, and returns when it is ready.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	process, err := launch(s.binary, "--kubeconfig", s.Kubeconfig, "--data", s.Data, "--port", strconv.Itoa(s.port))
	if err != nil {
		t.Fatalf("sandboxtest: %v", err)
	}
	s.process = process
}

// Signal sends it a signal: SIGSTOP makes a server that takes requests and is silent.
func (s *Server) Signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		t.Fatalf("sandboxtest: %s: %v", signal, err)
	}
}

// Kill ends it by SIGKILL, as a machine that fails does.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.Signal(t, syscall.SIGKILL)
	if err := s.process.Wait(); err == nil {
		t.Error("sandboxtest: the sandbox ended by itself before it was killed")
	}
	s.process = nil
}

// Stop ends it in good order, closing what is open.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := end(s.process); err != nil {
		t.Errorf("sandboxtest: %v", err)
	}
	s.process = nil
}

// Namespace makes a namespace. It goes with the sandbox.
func (s *Server) Namespace(t testing.TB) string {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	name := "test-" + suffix()
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
	if _, err := client.Resource(namespaces).Create(context.Background(), object, metav1.CreateOptions{}); err != nil {
		t.Fatalf("sandboxtest: namespace: %v", err)
	}
	return name
}

// reservePort takes a port for as long as the test runs: bound, but not listened on, nobody gets it
// by chance while the sandbox is down, and the sandbox itself may listen there, as every listener
// of Go's.
func reservePort(t testing.TB) int {
	t.Helper()
	return boundPort(t, unix.SO_REUSEADDR)
}
