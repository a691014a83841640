package supervisor

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/ebb-chaos/ebb/internal/worker"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// Build makes the runner of a worker, from the settings that [New] was given. It must use the hooks
// of w.
type Build[S any] func(settings S, w *Worker) (*runner.Runner, error)

// Worker is passed to Build in a worker process. If no process can be started, it is passed in this
// process.
type Worker struct {
	// Hooks must be the hooks of the runner's options. Build may set those that are nil.
	Hooks runner.Hooks

	// Stopping may be set by Build. It is called when the context was cancelled in the process that
	// the user started, before the runner is cancelled. cause is the reason.
	Stopping func(cause string)
}

// exitUsage is the exit code of sysexits.h for a wrong command line.
const exitUsage = 64

// Main must be the first call in main. In a worker, it does the work and does not return. In any
// other process, it returns at once.
func Main[S any](build Build[S]) {
	marked, err := worker.Take()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	if !marked {
		return
	}
	inside, first, err := worker.Open[order, event]()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	w := &workerTask{inside: inside, first: first, stops: make(chan string, 1), passed: map[runner.Point]int{}}
	go inside.FollowOrders(func(o order) {
		if o.Stop != nil {
			w.stops <- o.Stop.Cause
		}
	})
	last, err := w.work(func(set *Worker) (*runner.Runner, error) {
		var box boxed[S]
		if err := gob.NewDecoder(bytes.NewReader(first.Settings)).Decode(&box); err != nil {
			return nil, fmt.Errorf("settings: %w", err)
		}
		return build(box.Settings, set)
	})
	last.Failure = runner.FailureOf(err)
	inside.Tell(event{Done: &last})
	worker.Exit(0)
}

// Signals are the signals that ask a process to end: SIGINT and SIGTERM, and SIGHUP unless this
// process was started to ignore it, as by nohup. Cancel the context at the first signal, and call
// [Supervisor.Kill] at a second one.
func Signals() []os.Signal { return worker.Signals() }

// workerTask is the work of a worker.
type workerTask struct {
	inside *worker.Inside[order, event]
	first  order
	stops  chan string

	points sync.Mutex
	passed map[runner.Point]int

	finished finished
}

// work does what the first order says.
func (h *workerTask) work(build func(*Worker) (*runner.Runner, error)) (last done, err error) {
	// The notes must name the process that a user can send a signal to.
	versions.ActFor(os.Getppid())
	w := &Worker{Hooks: h.hooks()}
	r, err := build(w)
	if err != nil {
		return done{}, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	go func() {
		cause := <-h.stops
		if w.Stopping != nil {
			w.Stopping(cause)
		}
		cancel(errors.New(cause))
	}()
	switch o := h.first; {
	case o.Replay != nil:
		return h.replay(ctx, r, o.Replay)
	case o.Run != nil:
		return h.run(ctx, r, o.Run)
	case o.Check != nil:
		return done{}, h.check(ctx, r, o.Check)
	}
	return done{}, errors.New("orders: got none")
}

// hooks returns hooks that report to the supervisor what the runner does.
func (h *workerTask) hooks() runner.Hooks {
	hooks := runner.Hooks{
		Watch: func(f versions.File) func() {
			h.inside.Tell(event{Begin: &f})
			return func() { h.inside.Tell(event{Over: f.Key()}) }
		},
		Finished: func(r runner.Result) {
			h.inside.Tell(event{Result: toWire(r)})
			h.finished.add(r)
		},
		Proving: func(f versions.File) func() {
			h.inside.Tell(event{Proving: f.Key()})
			return func() { h.inside.Tell(event{Proved: true}) }
		},
		Loading: func(script string) func() {
			h.inside.Tell(event{Script: script})
			return func() { h.inside.Tell(event{Loaded: script}) }
		},
		Began: func(s runner.Start) { h.inside.Tell(event{Began: &s}) },
		Ended: func(x runner.ScenarioResult) { h.inside.Tell(event{Ended: toWireScenario(x)}) },
		Stuck: func(where string) { h.inside.Fatal(stuck(where)) },
	}
	if h.first.Points {
		hooks.Reached = h.reached
	}
	return hooks
}

// stuck completes a sentence about the process.
func stuck(where string) string {
	return "could not stop the code of " + where + " when its time was over"
}
