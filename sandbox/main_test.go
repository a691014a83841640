package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
)

// The test binary runs itself as ebb-sandbox, and as a parent that starts one
// and waits to be killed.
const roleVariable = "EBB_SANDBOX_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "sandbox":
		main()
	case "parent":
		child := asSandbox(os.Args[1:]...)
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		select {}
	}
	os.Exit(m.Run())
}

func asSandbox(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVariable+"=sandbox")
	return cmd
}

// A sandbox that a test started. Its temporary files are in tmp alone.
type sandbox struct {
	cmd        *exec.Cmd
	stdin      io.Closer
	kubeconfig string
	tmp        string
	lines      chan string
	ended      chan struct{} // closed when nobody holds its standard output
	stderr     *syncBuffer
	stdout     *syncBuffer
}

// syncBuffer can be read while a process still writes to it.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A limit for what takes a second or three here, on a machine that is busy.
const patience = 90 * time.Second

// launch starts "up" without waiting for anything. It always hands down a pipe
// and --with-parent, so that a test that is killed leaves no sandbox running.
func launch(t *testing.T, role string, args ...string) *sandbox {
	t.Helper()
	dir := t.TempDir()
	s := &sandbox{
		kubeconfig: filepath.Join(dir, "kubeconfig"), tmp: filepath.Join(dir, "tmp"),
		ended: make(chan struct{}), lines: make(chan string, 16), stderr: &syncBuffer{}, stdout: &syncBuffer{},
	}
	if err := os.Mkdir(s.tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	s.cmd = asSandbox(append([]string{"up", "--with-parent", "--kubeconfig", s.kubeconfig}, args...)...)
	s.cmd.Env = append(s.cmd.Env, roleVariable+"="+role, "TMPDIR="+s.tmp)
	s.cmd.Stderr = s.stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout = w
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		defer close(s.lines)
		lines := bufio.NewScanner(io.TeeReader(r, s.stdout))
		for lines.Scan() {
			s.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			if err := s.cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			if err := s.cmd.Wait(); err == nil {
				t.Error("a killed sandbox ended well")
			}
		}
		s.waitEnd(t)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *sandbox) waitReady(t *testing.T) {
	t.Helper()
	select {
	case line, open := <-s.lines:
		if !open || line != "ready" {
			t.Fatalf("got line %q (ended: %v), want %q; stderr:\n%s", line, !open, "ready", s.stderr)
		}
	case <-time.After(patience):
		t.Fatalf("not ready after %v; stderr:\n%s", patience, s.stderr)
	}
}

// waitEnd returns when the sandbox is gone, even if it is no child of ours.
func (s *sandbox) waitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		t.Fatalf("still runs after %v", patience)
	}
}

// end signals the sandbox and returns its exit code.
func (s *sandbox) end(t *testing.T, sig syscall.Signal) int {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	s.waitEnd(t)
	return s.exitCode(t)
}

func (s *sandbox) exitCode(t *testing.T) int {
	t.Helper()
	// The error repeats what the code says.
	if err := s.cmd.Wait(); err != nil && s.cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}

// leftovers lists what is left of a sandbox that had no --data.
func (s *sandbox) leftovers(t *testing.T) []string {
	t.Helper()
	var left []string
	if _, err := os.Lstat(s.kubeconfig); err == nil {
		left = append(left, s.kubeconfig)
	}
	entries, err := os.ReadDir(s.tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	return left
}

func (s *sandbox) client(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	client, _, err := dial(s.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func eventually(t *testing.T, what string, ask func() (bool, error)) {
	t.Helper()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ok, err := ask()
		if ok {
			return
		}
		last = err
	}
	t.Fatalf("not so after %v: %s (last error: %v)", patience, what, last)
}

func TestWrongUsage(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"", "no command given"},
		{"down", `unknown command "down"`},
		{"up", "--kubeconfig is required"},
		{"up --kubeconfig=", "--kubeconfig is required"},
		{"up --kubeconfig k --nodes 0", "--nodes is 0, want 1 to 100"},
		{"up --kubeconfig k --port 65536", "--port is 65536"},
		{"up --kubeconfig k --zones A_b", `--zones: "A_b" is no zone name`},
		{"up --kubeconfig k --zones=", "--zones is empty"},
		{"up --kubeconfig k --color", "unknown flag: --color"},
		{"up --kubeconfig k now", `unexpected operand "now"`},
		{"user --kubeconfig k --name alice", "--out is required"},
		{"user --kubeconfig k --name Al --out o", `--name is "Al"`},
		{"user --kubeconfig k --name alice --out o --allow pods", `--allow "pods": got no ":"`},
		{"version 2", `unexpected operand "2"`},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(test.args), &stdout, &stderr); code != exitUsage {
			t.Errorf("%q: exit code %d, want %d", test.args, code, exitUsage)
		}
		if !strings.HasPrefix(stderr.String(), "ebb-sandbox: ") || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%q: stderr is %q, want %q in it", test.args, &stderr, test.want)
		}
		if stdout.Len() > 0 {
			t.Errorf("%q: stdout is %q, want nothing", test.args, &stdout)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"--help", "ebb-sandbox up --kubeconfig FILE"},
		{"help", "Exit codes:"},
		{"up --help", "--with-parent"},
		{"user --help", "VERBS:RESOURCES[@NAMESPACE]"},
		{"version", "kubernetes v1.36."},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(test.args), &stdout, &stderr); code != exitDone {
			t.Errorf("%q: exit code %d, want %d", test.args, code, exitDone)
		}
		if !strings.Contains(stdout.String(), test.want) || stderr.Len() > 0 {
			t.Errorf("%q: stdout is %q, want %q in it; stderr is %q, want nothing", test.args, &stdout, test.want, &stderr)
		}
	}
}
