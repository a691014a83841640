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
	"strings"
	"sync"
	"sync/atomic"
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
	replay string // the command, for messages

	lost     map[string]string
	slow     bool
	gathered gathered

	mu     sync.Mutex
	worker *os.Process // nil between two
	orders *json.Encoder
	stop   string // the first signal
	kill   bool   // it is to end at once
}

// supervise replays in workers and reports what came of it.
func supervise(c *cli.Context, output string) error {
	s, err := newSetup(c)
	if err != nil {
		return err
	}
	v := &supervisor{setup: s, replay: "ebb execute-rollback --config " + c.String("config"), lost: map[string]string{}}
	defer onSignals(c.Duration("grace"), v.interrupt, v.end)()
	for unexplained := 0; ; {
		how, err := v.work()
		if err != nil {
			return fmt.Errorf("can't start the process that replays: %w", err)
		}
		switch g := &v.gathered; {
		case g.done != nil:
			return v.report(g, output)
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
				return v.giveUp(g, "the process that replays "+how, output)
			}
			v.log.Error("the process that replays " + how + ": trying again")
		}
		if v.stopped() {
			return v.giveUp(&v.gathered, "interrupted", output)
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
		Path: executable(), Args: workerArgs(os.Args),
		Stdin: os.Stdin, Stderr: said, ExtraFiles: []*os.File{eventsIn, ordersOut, os.Stderr},
		WaitDelay: laggards,
	}
	err = cmd.Start()
	err = errors.Join(err, eventsIn.Close(), ordersOut.Close())
	if err != nil {
		return "", errors.Join(err, events.Close(), orders.Close())
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

// workerFlag comes right after the command: what follows may end in "--".
func workerArgs(args []string) []string { return slices.Insert(slices.Clone(args), 2, "--"+workerFlag) }

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
	v.sayEnding(why, v.replay)
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
func (v *supervisor) report(g *gathered, output string) error {
	if !g.done.Reported && len(g.results) == 0 {
		return outcomeError(g.done.Code)
	}
	err := v.finish(&runner.Report{Results: g.results, Interrupted: g.done.Interrupted}, output)
	if !g.done.Reported {
		return outcomeError(g.done.Code)
	}
	return err
}

// giveUp reports what is known when no worker comes to an end.
func (v *supervisor) giveUp(g *gathered, how, output string) error {
	v.log.Error(how + ": not all files were tried, what is not restored stays pending; replay it with: " + v.replay)
	if err := v.finish(&runner.Report{Results: g.results, Interrupted: true}, output); err != nil {
		var outcome outcomeError
		if !errors.As(err, &outcome) {
			return err
		}
	}
	return outcomeError(exitPending)
}

// gathered is what the workers of a replay have said.
type gathered struct {
	// Of the latest worker.
	active map[string]int // how often each file's code is at work
	fatal  string
	done   *done

	results []runner.Result
	place   map[string]int

	heard atomic.Int64 // events so far
}

// read takes in a worker's events until its end.
func (g *gathered) read(events io.Reader) error {
	g.active, g.fatal, g.done = map[string]int{}, "", nil
	for decoder := json.NewDecoder(events); ; {
		var e event
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the events of the process that replays: %w", err)
		}
		g.heard.Add(1)
		switch {
		case e.Begin != "":
			g.active[e.Begin]++
		case e.Over != "":
			if g.active[e.Over]--; g.active[e.Over] == 0 {
				delete(g.active, e.Over)
			}
		case e.Result != nil:
			g.add(e.Result.result())
		case e.Fatal != "":
			g.fatal = e.Fatal
		case e.Done != nil:
			g.done = e.Done
		}
	}
}

// tried are the files that are not undone: another worker need not try them again.
func (g *gathered) tried() []*wireResult {
	var tried []*wireResult
	for _, r := range g.results {
		if !r.Outcome.Undone() {
			tried = append(tried, toWire(r))
		}
	}
	return tried
}

// add puts a result in the place of an earlier one of the same file.
func (g *gathered) add(r runner.Result) {
	key := strings.TrimSuffix(r.File.Location, ".executed")
	if i, ok := g.place[key]; ok {
		g.results[i] = r
		return
	}
	if g.place == nil {
		g.place = map[string]int{}
	}
	g.place[key] = len(g.results)
	g.results = append(g.results, r)
}

// tail keeps the beginning and the end of what a process said.
type tail struct {
	mu         sync.Mutex
	head, text []byte
}

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := tailSize - len(t.head); room > 0 {
		t.head = append(t.head, p[:min(room, len(p))]...)
	}
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// first is the first line, which is what a crash is about.
func (t *tail) first() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line, _, _ := strings.Cut(string(t.head), "\n")
	return line
}
