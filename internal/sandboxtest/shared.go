package sandboxtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// One sandbox serves the test processes of all packages of a checkout. The first that needs it
// starts a keeper, which is that test binary once more: it starts the sandbox and ends it when
// nobody uses it any more. Who uses it holds a shared lock on a file; the keeper waits for the
// exclusive one. Locks are the kernel's, so that a test process that is killed uses nothing.

const (
	// keeperEnv names the directory to the process that is to be the keeper.
	keeperEnv = "EBB_SANDBOX_KEEPER"
	// starterEnv is the process that started the keeper's first user.
	starterEnv = "EBB_SANDBOX_STARTER"

	keeperPoll = 50 * time.Millisecond
)

// The files of the directory that test processes and the keeper share.
const (
	gateFile       = "gate"       // locked while somebody looks whether there is a sandbox, and starts it
	usersFile      = "users"      // locked, shared, by each process that uses it
	kubeconfigFile = "kubeconfig" // of the sandbox that runs; written when it is ready
	logFile        = "log"        // what the keeper said last
)

// sharedDir is where the processes that use a binary meet. It is outside of the module: go test
// keeps no results of tests that read files in it which change.
func sharedDir(binary string) (string, error) {
	// Not EvalSymlinks: it looks at bin, and go test runs all again once anything was built there.
	version, err := os.Readlink(binary)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(filepath.Join(filepath.Dir(binary), version)))
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("ebb-sandbox-%d-%x", os.Getuid(), sum[:6]))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || info.Mode().Perm() != 0o700 || int(st.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s: got %s, want a directory of user %d with mode 0700", dir, info.Mode(), os.Getuid())
	}
	return dir, nil
}

// join makes this process a user of the shared sandbox, until leave is called or the process
// ends, and returns the administrator's kubeconfig.
func join(binary string) (kubeconfig string, leave func() error, err error) {
	dir, err := sharedDir(binary)
	if err != nil {
		return "", nil, err
	}
	gate, err := lock(filepath.Join(dir, gateFile), unix.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, gate.Close()) }()
	kubeconfig = filepath.Join(dir, kubeconfigFile)
	// This waits for a keeper that is just ending its sandbox.
	users, err := lock(filepath.Join(dir, usersFile), unix.LOCK_SH)
	if err != nil {
		return "", nil, err
	}
	if _, err := os.Stat(kubeconfig); err == nil && alive(dir) {
		return kubeconfig, users.Close, nil
	}
	if err := startKeeper(dir); err != nil {
		return "", nil, errors.Join(err, users.Close())
	}
	return kubeconfig, users.Close, nil
}

// lock opens a file and locks it; closing it, or the end of the process, unlocks it.
func lock(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(file.Fd()), how)
		switch {
		case err == nil:
			return file, nil
		case !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
	}
}

// keeperLock is held by a keeper for as long as it lives.
const keeperLock = "keeper"

// alive tells whether the directory has a keeper.
func alive(dir string) bool {
	file, err := lock(filepath.Join(dir, keeperLock), unix.LOCK_SH|unix.LOCK_NB)
	if err != nil {
		return true
	}
	return file.Close() != nil
}

// startKeeper starts a keeper and returns when its sandbox is ready.
func startKeeper(dir string) (err error) {
	kubeconfig, logPath := filepath.Join(dir, kubeconfigFile), filepath.Join(dir, logFile)
	if !alive(dir) { // one that was killed left its kubeconfig
		if err := os.Remove(kubeconfig); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), keeperEnv+"="+dir, starterEnv+"="+strconv.Itoa(os.Getppid()))
	cmd.Stdout, cmd.Stderr = log, log
	// Ctrl-C is for the tests: the keeper ends when they have.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(startLimit); ; time.Sleep(keeperPoll) {
		if _, err := os.Stat(kubeconfig); err == nil {
			return cmd.Process.Release() // it outlives this process
		}
		// Not Wait, which needs a goroutine that would outlive the tests.
		if pid, err := unix.Wait4(cmd.Process.Pid, nil, unix.WNOHANG, nil); err == nil && pid != 0 {
			text, err := os.ReadFile(logPath)
			return errors.Join(fmt.Errorf("the sandbox ended before it was ready: %s", text), err)
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("the sandbox was not ready after %s: see %s", startLimit, logPath), cmd.Process.Kill())
		}
	}
}

// keep is the keeper: it returns when the last user has left, and the go command that
// runs the tests has ended, so that packages tested one after the other have the same sandbox.
func keep(dir string) (err error) {
	own, err := lock(filepath.Join(dir, keeperLock), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	binary, err := findBinary()
	if err != nil {
		return err
	}
	// Written elsewhere and renamed: whoever waits for the kubeconfig waits until all is ready.
	kubeconfig := filepath.Join(dir, kubeconfigFile)
	process, err := launch(binary, "--kubeconfig", kubeconfig+".new")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end(process)) }()
	if err := os.Link(kubeconfig+".new", kubeconfig); err != nil {
		return err
	}
	starter := os.Getenv(starterEnv)
	for isGo(starter) {
		time.Sleep(keeperPoll)
	}
	// Taken once nobody has it. Who comes from now on waits until it is given back, and starts
	// another.
	users, err := lock(filepath.Join(dir, usersFile), unix.LOCK_EX)
	if err != nil {
		return err
	}
	return errors.Join(os.Remove(kubeconfig), users.Close())
}

// isGo tells whether a process is the go command.
func isGo(pid string) bool {
	exe, err := os.Readlink("/proc/" + pid + "/exe")
	return err == nil && strings.TrimSuffix(filepath.Base(exe), " (deleted)") == "go"
}
