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

// Build makes the runner of a worker: of the settings that [New] was given, and with the hooks of
// w.
type Build[S any] func(settings S, w *Worker) (*runner.Runner, error)

// Worker is what a runner is made with in a worker, or in the process itself where no other can be
// started.
type Worker struct {
	// Hooks go into the runner's options. Build may set those that are nil.
	Hooks runner.Hooks

	// Stopping is set by Build to be told that the context was cancelled in the process that was
	// started by the user, and why, before the runner is.
	Stopping func(cause string)
}

// exitUsage is the exit code of sysexits.h for a mistake in how a program was called.
const exitUsage = 64

// Main has to be the first thing that main calls. In a worker it does what that is for, and does
// not return; in any other process it returns at once.
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

// Signals are those that ask a process to end: SIGINT, SIGTERM, and SIGHUP unless this process was
// started to ignore it, as by nohup. Cancel the context for the first, and [Supervisor.Kill] for a
// second.
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

// work does what the first order wants.
func (h *workerTask) work(build func(*Worker) (*runner.Runner, error)) (last done, err error) {
	// Who holds an execution is the process that a user can send a signal to.
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

// hooks tell the supervisor what the runner is at.
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
