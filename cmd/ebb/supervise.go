package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/runner"
)

// A replay has two processes. The worker does all of the work: it alone loads files, locks
// executions, speaks to the cluster. The supervisor, which the user started, runs no code of a version
// file, so that none can take it down: a list of a billion zeros is five steps to the interpreter and the
// end of the process. When a worker dies, the supervisor knows which file's code was at work,
// calls that one failed, and lets another worker go on with the others.
//
// One worker for all files and not one for each: starting a process and connecting to
// the API server costs some 30 ms, as much as ten deletes, and files that take a
// process down are rare. A worker ends as soon as its supervisor is gone, and hears of signals from it
// alone, since a terminal sends them to both.

const (
	// workerTries is how often a worker may end without having been at any file.
	workerTries = 3
	// A worker says that it is alive every second. One that is silent for so many times
	// hangs in a step of the runtime that can't be interrupted, such as moving gigabytes.
	silence = 10
	// laggards is how long a worker's events are waited for after its end.
	laggards = 2 * time.Second
)

// supervisor runs the workers of one replay.
type supervisor struct {
	*setup
	task   task
	args   []string // of the workers
	stderr io.Writer

	lost     map[string]string
	slow     bool
	gathered gathered

	mu     sync.Mutex
	worker *os.Process // nil between two
	orders *json.Encoder
	stop   string // the first signal
	kill   bool   // it is to end at once
}

// supervise does a task in workers and reports what came of it.
func supervise(c *cli.Context, t task) error {
	s, err := newSetup(c)
	if err != nil {
		return err
	}
	v := &supervisor{setup: s, task: t, stderr: c.App.ErrWriter, lost: map[string]string{}}
	// The flag comes right after the command: what follows may end in "--".
	args, _ := c.App.Metadata[argsKey].([]string)
	v.args = slices.Insert(slices.Clone(args), 2, "--"+workerFlag)
	stop := onSignals(c.Duration("grace"), v.interrupt, v.end)
	defer func() { stop() }()
	for unexplained := 0; ; {
		how, err := v.work()
		var unstarted *startError
		if errors.As(err, &unstarted) {
			s.log.Warn(fmt.Sprintf("%v: replaying in this one, which a bad file may end", err))
			stop()
			stop = func() {}
			return t.here(c)
		}
		if err != nil {
			return &scenarioError{err}
		}
		switch g := &v.gathered; {
		case g.done != nil:
			return v.report(g)
		case v.killed():
			return outcomeError(exitPending)
		case len(g.active) > 1 && !v.slow:
			v.slow = true
			v.log.Error(fmt.Sprintf("the process that replays %s while it was at %d files: going on with one at a time", how, len(g.active)))
		case len(g.active) > 0:
			for location := range g.active {
				v.lost[location] = how
				v.log.Error(fmt.Sprintf("the process that replays %s %s: going on without that file", location, how))
			}
		default:
			if unexplained++; unexplained == workerTries {
				return v.giveUp(g, "the process that replays "+how)
			}
			v.log.Error("the process that replays " + how + ": trying again")
		}
		if v.stopped() {
			return v.giveUp(&v.gathered, "interrupted")
		}
	}
}

// work runs one worker to its end and returns how that was.
func (v *supervisor) work() (how string, err error) {
	events, eventsIn, err := os.Pipe()
	if err != nil {
		return "", err
	}
	ordersOut, orders, err := os.Pipe()
	if err != nil {
		return "", errors.Join(err, events.Close(), eventsIn.Close())
	}
	said := &tail{}
	cmd := &exec.Cmd{
		Path: executable(), Args: v.args,
		Stdin: os.Stdin, Stdout: v.stderr, Stderr: said, ExtraFiles: []*os.File{eventsIn, ordersOut},
		WaitDelay: laggards,
	}
	err = cmd.Start()
	err = errors.Join(err, eventsIn.Close(), ordersOut.Close())
	if err != nil {
		return "", &startError{errors.Join(err, events.Close(), orders.Close())}
	}
	v.began(cmd.Process, json.NewEncoder(orders))
	gathered := make(chan error, 1)
	go func() { gathered <- v.gathered.read(events) }()
	over := make(chan struct{})
	silent := make(chan bool, 1)
	go func() { silent <- v.watchdog(over) }()
	waitErr := cmd.Wait()
	close(over)
	v.ended()
	var exit *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &exit) && !errors.Is(waitErr, exec.ErrWaitDelay) {
		err = waitErr
	}
	// The pipe ends with the worker, unless something that it started still holds it.
	err = errors.Join(err, events.SetReadDeadline(time.Now().Add(laggards)), <-gathered, events.Close(), orders.Close())

	how = fmt.Sprintf("ended (%s)", cmd.ProcessState)
	switch {
	case v.gathered.fatal != "":
		how = v.gathered.fatal
	case <-silent:
		how = fmt.Sprintf("did not answer for %d s", silence)
	case said.first() != "":
		how = fmt.Sprintf("crashed (%s)", said.first())
	}
	if text := said.String(); text != "" {
		v.log.Debug("the process that replays said: " + text)
	}
	if v.gathered.done != nil && !cmd.ProcessState.Success() {
		err = errors.Join(err, fmt.Errorf("the process that replays %s after its last word: %s", how, said))
	}
	return how, err
}

// startError means that there is no worker.
type startError struct{ err error }

func (e *startError) Error() string {
	return fmt.Sprintf("no other process can be started (%v)", e.err)
}
func (e *startError) Unwrap() error { return e.err }

// watchdog ends a worker that is silent, and reports whether it did. It counts its own turns
// and no time: after a Ctrl-Z both have been away.
func (v *supervisor) watchdog(over <-chan struct{}) bool {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for missed, heard := 0, int64(-1); ; {
		select {
		case <-over:
			return false
		case <-ticker.C:
		}
		if now := v.gathered.heard.Load(); now != heard {
			missed, heard = 0, now
			continue
		}
		if missed++; missed == silence {
			v.endWorker()
			return true
		}
	}
}

// executable is this program, even if its file was replaced meanwhile.
func executable() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0] // the start says why not
	}
	return path
}

// began gives a new worker its first order.
func (v *supervisor) began(worker *os.Process, orders *json.Encoder) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.worker, v.orders = worker, orders
	v.order(order{Tried: v.gathered.tried(), Lost: v.lost, Slow: v.slow})
	if v.stop != "" {
		v.order(order{Stop: v.stop})
	}
}

// order fails only when the worker has just ended, which is seen elsewhere. The lock is held.
func (v *supervisor) order(o order) {
	if err := v.orders.Encode(o); err != nil {
		v.log.Debug(fmt.Sprintf("orders: %v", err))
	}
}

func (v *supervisor) ended() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.worker = nil
}

func (v *supervisor) killed() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.kill
}

func (v *supervisor) stopped() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stop != ""
}

// interrupt passes the first signal on.
func (v *supervisor) interrupt(sig string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stop = sig
	if v.worker != nil {
		v.order(order{Stop: sig})
	}
}

// end ends the worker, and with it this process.
func (v *supervisor) end(why string) {
	v.sayEnding(why, v.task.command)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kill = true
	v.killWorker()
	// Whatever holds the worker up must not hold up this process.
	time.AfterFunc(time.Second, func() { os.Exit(exitPending) })
}

func (v *supervisor) endWorker() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.killWorker()
}

// killWorker is endWorker with the lock held.
func (v *supervisor) killWorker() {
	if v.worker == nil {
		return
	}
	if err := v.worker.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		v.log.Error(fmt.Sprintf("the process that replays could not be ended: %v", err))
	}
}

// report prints what came of the files and returns what the exit code is.
func (v *supervisor) report(g *gathered) error {
	if !g.done.Reported && len(g.results) == 0 {
		return outcomeError(g.done.Code)
	}
	err := v.finish(&runner.Report{Results: g.results, Interrupted: g.done.Interrupted}, v.task.output)
	if !g.done.Reported {
		return outcomeError(g.done.Code)
	}
	return err
}

// giveUp reports what is known when no worker comes to an end.
func (v *supervisor) giveUp(g *gathered, how string) error {
	v.log.Error(how + ": not all files were tried, what is not restored stays pending; replay it with: " + v.task.command)
	if err := v.finish(&runner.Report{Results: g.results, Interrupted: true}, v.task.output); err != nil {
		var outcome outcomeError
		if !errors.As(err, &outcome) {
			return err
		}
	}
	return outcomeError(exitPending)
}
