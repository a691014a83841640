package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
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

// workerTries is how often a worker may end without having been at any file.
const workerTries = 3

// supervisor runs the workers of one replay.
type supervisor struct {
	*setup
	task   task
	args   []string // of the workers
	stderr io.Writer

	lost     map[string]lostFile // by key
	slow     bool
	gathered gathered

	mu     sync.Mutex
	worker *child // nil between two
	stop   string // the first signal
	kill   bool   // it is to end at once
}

// supervise does a task in workers and reports what came of it.
func supervise(ctx context.Context, t task) error {
	s, err := newSetup(t.common)
	if err != nil {
		return err
	}
	s.again = t.command
	v := &supervisor{setup: s, task: t, stderr: t.common.stderr, lost: map[string]lostFile{}}
	// The flag comes right after the command: what follows may end in "--".
	v.args = slices.Insert(slices.Clone(t.common.args), 2, "--"+workerFlag)
	stop := onSignals(t.times.Grace, v.interrupt, v.end)
	defer func() { stop() }()
	unexplained := 0
	for first := true; ; first = false {
		how, err := v.work()
		switch g := &v.gathered; {
		case err != nil && first && v.stopped():
			return context.Canceled
		case err != nil && first:
			v.log.Warn(fmt.Sprintf("no other process can be started (%v): replaying in this one, which a bad file may end", err))
			stop()
			stop = func() {}
			return t.here(ctx)
		case err != nil:
			return v.giveUp(fmt.Sprintf("no other process can be started (%v)", err))
		case g.done != nil && g.done.Reported:
			return v.report(how)
		case v.killed():
			return outcomeError(exitPending)
		case g.done != nil && first:
			return outcomeError(g.done.Code) // it said why
		case g.done != nil:
			return v.giveUp("the process that replays could not go on")
		case len(g.active) > 1 && !v.slow:
			v.slow = true
			v.log.Error(fmt.Sprintf("the process that replays %s while it was at %d files: going on with one at a time", how, len(g.active)))
		case len(g.active) > 0:
			if !v.lose(how) {
				return v.giveUp("the process that replays " + how)
			}
		default:
			if unexplained++; unexplained == workerTries {
				return v.giveUp("the process that replays " + how)
			}
			v.log.Error("the process that replays " + how + ": trying again")
		}
		if v.stopped() {
			return v.giveUp("interrupted")
		}
	}
}

// lose gives up the files that a worker was at when it ended. It reports false for one
// that was given up before, and should not have been at work.
func (v *supervisor) lose(how string) bool {
	for key, location := range v.gathered.active {
		if _, again := v.lost[key]; again {
			return false
		}
		v.lost[key] = lostFile{location, how}
		v.log.Error(fmt.Sprintf("the process that replays %s %s: going on without that file", location, how))
	}
	return true
}

// report prints what came of the files and returns what the exit code is. The worker's last
// word was all: how it ended after that changes nothing of what it did.
func (v *supervisor) report(how string) error {
	g := &v.gathered
	err := v.finish(&runner.Report{Results: g.results, Interrupted: g.done.Interrupted}, v.task.output)
	if how != wellDone {
		v.log.Error("the process that replays " + how + " after its last word")
		if err == nil && !v.killed() {
			return outcomeError(exitFailed)
		}
	}
	return err
}

// giveUp reports what is known when not all files could be tried.
func (v *supervisor) giveUp(why string) error {
	v.log.Error(why + ": not all files were tried, what is not restored stays pending; replay it with: " + v.task.command)
	report := &runner.Report{Results: v.gathered.results, Interrupted: true}
	for key, f := range v.lost {
		if !v.gathered.has(key) {
			report.Results = append(report.Results, runner.Result{
				File: versions.File{Location: f.Location}, Outcome: runner.Failed, Err: f.err(),
			})
		}
	}
	var outcome outcomeError
	if err := v.finish(report, v.task.output); err != nil && !errors.As(err, &outcome) {
		return err
	}
	return outcomeError(exitPending)
}

// work runs one worker to its end and returns how that was: [wellDone], or words that complete a
// sentence about it. The error says why there is no worker.
func (v *supervisor) work() (how string, err error) {
	w, err := startWorker(v.args, v.stderr)
	if err != nil {
		return "", err
	}
	v.began(w)
	defer v.ended()
	how = w.wait(&v.gathered)
	if text := w.said.String(); text != "" {
		v.log.Debug("the process that replays said: " + text)
	}
	return how, nil
}

// began gives a new worker its first order.
func (v *supervisor) began(w *child) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.worker = w
	w.orders <- order{Tried: v.gathered.tried(), Lost: v.lost, Slow: v.slow}
	if v.stop != "" {
		w.orders <- order{Stop: v.stop}
	}
}

func (v *supervisor) ended() {
	v.mu.Lock()
	defer v.mu.Unlock()
	close(v.worker.orders)
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
		v.worker.orders <- order{Stop: sig}
	}
}

// end ends the worker, and with it this process.
func (v *supervisor) end(why string) {
	v.sayEnding(why, v.task.command)
	// Whatever holds the worker up must not hold up this process.
	time.AfterFunc(time.Second, func() { os.Exit(exitPending) })
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kill = true
	if v.worker != nil {
		v.worker.end()
	}
}
