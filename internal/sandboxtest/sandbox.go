// Package sandboxtest gives tests a real Kubernetes API server, and a proxy in
// front of it that fails on demand.
//
// Start with [Main] in the package's TestMain, then [Kubeconfig] or [Namespace] in
// a test: the sandbox (bin/ebb-sandbox) is started by the first test that needs it, and serves
// all packages that are tested at the time. [Own] is one more, for a test that stops it.
// If EBB_TEST_KUBECONFIG names a kubeconfig, that cluster is used instead.
//
// Avoid names that another test could choose as well, and cluster-wide lists: one
// cluster serves the tests of several packages at the same time.
//
// What is promised: a missing or broken sandbox fails a test, and never skips it; what was
// started here ends with the last of the tests, even if they are killed.
package sandboxtest

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// clusterVariable names the kubeconfig of a cluster to use instead of the sandbox.
const clusterVariable = "EBB_TEST_KUBECONFIG"

// machineVariable has what the Makefile knows of this machine and of who runs the tests. Go test
// keeps results by the variables that tests read: what was skipped for the lack of a command is not
// taken for a result on a machine that has it.
const machineVariable = "EBB_TEST_MACHINE"

const (
	// startLimit is generous: a loaded machine with two cores takes a while.
	startLimit = 3 * time.Minute
	stopLimit  = 30 * time.Second
)

// cluster is what the tests of this process share.
var cluster struct {
	once       sync.Once
	err        error
	kubeconfig string
	binary     string
	leave      func() error // nil if the sandbox isn't ours
	main       bool         // [Main] runs the tests
}

// Main runs the tests and leaves the sandbox, if they used it. Use it as
//
//	func TestMain(m *testing.M) { os.Exit(sandboxtest.Main(m)) }
//
// What m does before it runs the tests, it does in the process that tests alone.
func Main(m interface{ Run() int }) int {
	if dir := os.Getenv(keeperEnv); dir != "" { // this process is to keep the sandbox, not to test
		if err := keep(dir); err != nil {
			fmt.Fprintln(os.Stderr, "sandboxtest:", err)
			return 1
		}
		return 0
	}
	cluster.main = true
	if err := runMoreAtOnce(); err != nil {
		fmt.Fprintln(os.Stderr, "sandboxtest:", err)
		return 2
	}
	code := m.Run()
	if cluster.leave != nil {
		if err := cluster.leave(); err != nil {
			fmt.Fprintln(os.Stderr, "sandboxtest:", err)
			code = max(code, 1)
		}
	}
	return code
}

// runMoreAtOnce has more tests run at the same time than there are processors, unless the command
// line says how many: what is tested mostly waits for the API server.
func runMoreAtOnce() error {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if asked {
		return nil
	}
	return flag.Set("test.parallel", "8")
}

// Kubeconfig returns the file of the cluster's administrator.
func Kubeconfig(t testing.TB) string {
	t.Helper()
	cluster.once.Do(func() { cluster.err = start() })
	if cluster.err != nil {
		t.Fatalf("sandboxtest: %v", cluster.err)
	}
	return cluster.kubeconfig
}

func start() error {
	os.Getenv(machineVariable) // only for go test to see
	binary, err := findBinary()
	if err != nil {
		return err
	}
	if file := os.Getenv(clusterVariable); file != "" {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("%s: %w", clusterVariable, err)
		}
		cluster.kubeconfig, cluster.binary = file, binary
		return nil
	}
	if !cluster.main {
		return errors.New("no sandbox: TestMain does not call Main")
	}
	cluster.binary = binary
	cluster.kubeconfig, cluster.leave, err = join(binary)
	return err
}

// launch starts a sandbox and returns when it is ready.
func launch(binary string, args ...string) (*exec.Cmd, error) {
	if err := installTools(); err != nil { // the tests that need them skip
		fmt.Fprintln(os.Stderr, "sandboxtest:", err)
	}
	// --with-parent ends it even if this process gets no chance to.
	cmd := exec.Command(binary, append([]string{"up", "--with-parent"}, args...)...)
	// It makes much garbage: collecting it less often saves a fifth of its time, for some more memory.
	cmd.Env = append(os.Environ(), "GOGC=300", "GOMEMLIMIT=1GiB")
	log := &tail{}
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) == "ready" {
				ready <- true
			}
		}
		ready <- false
	}()
	select {
	case ok := <-ready:
		if ok {
			return cmd, nil
		}
		return nil, errors.Join(fmt.Errorf("%s up ended before it was ready: %s", binary, log), end(cmd))
	case <-time.After(startLimit):
		return nil, errors.Join(fmt.Errorf("%s up was not ready after %s: %s", binary, startLimit, log), end(cmd))
	}
}

// end stops a sandbox and waits for it.
func end(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.AfterFunc(stopLimit, func() {
		// Wait reports how it ended.
		if err := cmd.Process.Kill(); err != nil {
			fmt.Fprintln(os.Stderr, "sandboxtest:", err)
		}
	})
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGTERM {
			err = nil
		}
	}
	if err != nil {
		err = fmt.Errorf("stopping the sandbox: %w", err)
	}
	return err
}

// findBinary walks up to the module's root.
func findBinary() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return "", fmt.Errorf("no go.mod above the working directory: %w", err)
		}
		dir = parent
	}
	binary := filepath.Join(dir, "bin", "ebb-sandbox")
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("no sandbox: %w: run: make sandbox", err)
	}
	return binary, nil
}

// run runs a command of the sandbox's own.
func run(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, cluster.binary, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", cluster.binary, strings.Join(args, " "), err, out)
	}
	return nil
}

// tail keeps the end of what a process said, for the error that explains its end.
type tail struct {
	mu   sync.Mutex
	text []byte
}

var _ io.Writer = (*tail)(nil)

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - 4096; over > 0 {
		l.text = l.text[over:]
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
