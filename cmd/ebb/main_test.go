package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-chaos/ebb/internal/limits"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/supervisor"
)

// The tests start thousands of processes of ebb. They run a binary of its own, since the one that
// tests takes four times as long to start: it has all of client-go in it. It is built with the tag
// ebbtest, which adds the points at which it can be killed.

// raceOptions keep the race detector from sleeping for a second at the end of each
// process: the scripts start hundreds.
const raceOptions = "atexit_sleep_ms=0"

// Limits that are other ones in the tests, of this process and of the ebb that it starts.
const (
	// requestTime is how long a changing request has: a replay of what was killed while one was
	// under way waits for some of these times before it believes that nothing came of it.
	requestTimeVariable = "EBB_REQUEST_TIME"
	requestTime         = 4 * time.Second
	// lookTime is how long one look at chaos takes at most, and commandTime how long a command in a
	// container has at least: on a busy machine they take longer than anywhere else.
	lookTimeVariable    = "EBB_LOOK_TIME"
	lookTime            = 2 * time.Minute
	commandTimeVariable = "EBB_COMMAND_TIME"
	commandTime         = time.Minute
)

func TestMain(m *testing.M) {
	supervisor.Main(buildRunner) // this process is the worker of a test that has a supervisor of its own
	os.Exit(sandboxtest.Main(tests{m}))
}

// tests are the tests of this package, with what they need around them.
type tests struct{ *testing.M }

func (m tests) Run() int {
	code, err := m.run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return code
}

func (m tests) run() (code int, err error) {
	dir, err := os.MkdirTemp("", "ebb-test-bin-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	err = errors.Join(
		buildForTests(filepath.Join(dir, "ebb")),
		os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH")),
		os.Setenv("GORACE", raceOptions),
		os.Setenv(requestTimeVariable, requestTime.String()),
		os.Setenv(lookTimeVariable, lookTime.String()),
		os.Setenv(commandTimeVariable, commandTime.String()),
	)
	if err != nil {
		return 0, err
	}
	limits.Request, limits.Look, limits.Command = requestTime, lookTime, commandTime
	// Processes inherit it if this one was started to ignore it, as by nohup; some are to hear it.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	// Directories that others can write to are refused: don't make any.
	syscall.Umask(0o022)
	return m.M.Run(), nil
}

// buildForTests makes a binary as this one is built: nothing is compiled twice. It is kept in bin,
// where go build sees that it need not be made again. The tests get a link to it, so that what they
// run stays the same while somebody else tests what he has changed.
func buildForTests(path string) (err error) {
	args := []string{"build", "-buildvcs=false", "-tags", "ebbtest,urfave_cli_no_docs"}
	kind := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if (s.Key == "-race" || s.Key == "-trimpath") && s.Value == "true" {
				args, kind = append(args, s.Key), kind+s.Key
			}
		}
	}
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(bin, 0o777); err != nil {
		return err
	}
	kept := filepath.Join(bin, ".ebb-test"+kind)
	turn, err := os.OpenFile(kept+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, turn.Close()) }()
	if err := unix.Flock(int(turn.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	if out, err := exec.Command("go", append(args, "-o", kept, ".")...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %q: %w\n%s", args, err, out)
	}
	if os.Link(kept, path) == nil {
		return nil
	}
	return copyFile(path, kept) // on another file system
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // nothing was written
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
