package sandboxtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// userEnv makes a process of this test binary a user of the shared sandbox, which prints the
// kubeconfig's path and leaves when its standard input ends.
const userEnv = "EBB_SANDBOXTEST_USER"

func useSandbox() error {
	binary, err := findBinary()
	if err != nil {
		return err
	}
	kubeconfig, leave, err := join(binary)
	if err != nil {
		return err
	}
	if _, err := fmt.Println(kubeconfig); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, leave())
}

// startUser starts a user in a process of its own.
func startUser(t *testing.T, tempDir string) (*exec.Cmd, io.Closer, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	user := exec.Command(exe)
	user.Env = append(os.Environ(), userEnv+"=1", "TMPDIR="+tempDir)
	user.Stderr = os.Stderr
	stdin, err := user.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := user.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := user.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the user did not get a sandbox: %v", errors.Join(err, user.Wait()))
	}
	return user, stdin, strings.TrimSpace(line)
}

// Processes share one sandbox; one that is killed uses it no longer, and with the last it ends.
func TestSandboxEndsWithItsLastUser(t *testing.T) {
	dir := t.TempDir()
	first, _, kubeconfig := startUser(t, dir)
	second, stdin, other := startUser(t, dir)
	if kubeconfig != other || !strings.HasPrefix(kubeconfig, dir) {
		t.Errorf("got %q and %q, want one in %q", kubeconfig, other, dir)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err == nil {
		t.Error("the first user ended before it was killed")
	}
	_, connection, host := client(t, kubeconfig)
	ready := func() error {
		response, err := connection.Get(host + "/readyz")
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	if err := ready(); err != nil {
		t.Errorf("the sandbox that the second user has: %v", err)
	}
	if err := errors.Join(stdin.Close(), second.Wait()); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(time.Minute); alive(filepath.Dir(kubeconfig)); time.Sleep(keeperPoll) {
		if time.Now().After(deadline) {
			t.Fatal("the sandbox has no user and does not end")
		}
	}
	if err := ready(); err == nil {
		t.Error("the sandbox still answers")
	}
	if _, err := os.Stat(kubeconfig); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want the kubeconfig removed", err)
	}
}

func TestMissingPackages(t *testing.T) {
	dir := t.TempDir()
	if got, want := missingPackages([]string{dir}), []string{"iproute2", "iptables", "procps", "util-linux"}; !slices.Equal(got, want) {
		t.Errorf("of an empty directory: got %q, want %q", got, want)
	}
	for _, name := range []string{"ip", "iptables", "pgrep", "nsenter", "setsid", "unshare"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if got := missingPackages([]string{"/nowhere", dir}); !slices.Equal(got, []string{"iproute2"}) {
		t.Errorf("without tc: got %q, want iproute2", got)
	}
}
