package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ebb-chaos/ebb/internal/killpoint"
)

// process is a command in the background whose output goes to NAME.out and NAME.err
// while it runs, so that a script can wait for a line of it.
type process struct {
	cmd  *exec.Cmd
	done chan error
}

type processID struct {
	ts   *testscript.TestScript
	name string
}

var processes sync.Map // of *process, by processID

// start NAME COMMAND ARG... starts a command in the background.
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	name := args[0]
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	p := &process{cmd: exec.Command(path, args[2:]...), done: make(chan error, 1)}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = environ(ts)
	stdout, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	stderr, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	ts.Check(p.cmd.Start())
	go func() {
		p.done <- errors.Join(p.cmd.Wait(), stdout.Close(), stderr.Close())
	}()
	processes.Store(processID{ts, name}, p)
	ts.Defer(func() {
		if _, left := processes.LoadAndDelete(processID{ts, name}); left {
			// The script failed before its finish.
			if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				ts.Logf("kill %s: %v", name, err)
			}
			<-p.done
		}
	})
}

// environ is the script's environment for the programs that it starts.
func environ(ts *testscript.TestScript) []string {
	env := os.Environ()
	for _, name := range append([]string{"KUBECONFIG", "HOME", "TMPDIR", "NO_COLOR", "NS", "VERSIONS", "EBB_REPEAT_WINDOW", requestTimeVariable, lookTimeVariable, commandTimeVariable, "EBB_EFFECT_TIME", "EBB_LOOK_EVERY_TIME", "EBB_VERIFY_TIME", "EBB_MEMORY", "EBB_POD", "EBB_STORE_TIMES", "EBB_KILL_AT", "EBB_PROC", "EBB_EVENTS"}, cloudVariables...) {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

func processOf(ts *testscript.TestScript, name string) *process {
	p, ok := processes.Load(processID{ts, name})
	if !ok {
		ts.Fatalf("no process %q was started", name)
	}
	return p.(*process)
}

// signal SIGNAL NAME sends INT, TERM, HUP, KILL, STOP or CONT to a process that was started.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	sig, ok := killpoint.Signals[strings.ToLower(args[0])]
	if !ok {
		ts.Fatalf("unknown signal %q", args[0])
	}
	ts.Check(processOf(ts, args[1]).cmd.Process.Signal(sig))
}

// finish CODE NAME waits for a process and checks its exit code; "killed" is that of SIGKILL.
func cmdFinish(ts *testscript.TestScript, neg bool, args []string) {
	p := processOf(ts, args[1])
	err := <-p.done
	processes.Delete(processID{ts, args[1]})
	if got := codeOf(err); got != args[0] {
		ts.Fatalf("%s ended with %s, want %s; it said:\n%s", args[1], got, args[0], ts.ReadFile(args[1]+".err"))
	}
}

// exit CODE COMMAND ARG... runs a command and checks its exit code.
func cmdExit(ts *testscript.TestScript, neg bool, args []string) {
	if got := codeOf(ts.Exec(args[1], args[2:]...)); got != args[0] {
		ts.Fatalf("exit code is %s, want %s", got, args[0])
	}
}

func codeOf(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "0"
	case !errors.As(err, &exit):
		return err.Error()
	case exit.Sys().(syscall.WaitStatus).Signaled():
		return map[bool]string{true: "killed", false: "signal"}[exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL]
	}
	return strconv.Itoa(exit.ExitCode())
}
