package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// workerFlag makes execute-rollback the worker of a supervisor: see supervise.go.
const workerFlag = "replay-worker"

// What the worker inherits beside the usual three. Of these, standard output is the user's
// standard error, where logs go. Its own standard error is the supervisor's to read: what Go's
// runtime says when the process crashes goes there, and nobody wants a page of stacks at 3 a.m.
const (
	eventsFD = 3
	ordersFD = 4
)

// stopping is closed when a worker has heard of a signal.
var stopping = make(chan struct{})

// maxStack ends a runaway recursion of Go's own before it has used a gigabyte, which is the default.
const maxStack = 128 << 20

// work is the worker's main.
func work(ctx context.Context, t task) error {
	// Programs that this one starts, such as a kubeconfig's, must not hold the pipes open.
	syscall.CloseOnExec(eventsFD)
	syscall.CloseOnExec(ordersFD)
	events := newSender(os.NewFile(eventsFD, "events"))
	orders := json.NewDecoder(os.NewFile(ordersFD, "orders"))
	var first order
	if err := orders.Decode(&first); err != nil {
		return &usageError{err: fmt.Errorf("--%s is for ebb's own use: %w", workerFlag, err)}
	}
	os.Stderr = os.Stdout
	t.common.stderr = os.Stdout
	surviveReader()
	// Not ignored, since programs that this one starts would inherit that.
	signal.Notify(make(chan os.Signal, 1), endings()...)
	debug.SetMaxStack(maxStack)

	// Who holds an execution is the process that a user can send a signal to.
	versions.ActFor(os.Getppid())
	report, err := workOn(ctx, t, first, orders, events)
	last := done{}
	if err != nil {
		last.Code = exitCode(t.common.stderr, err)
	} else {
		last.Reported, last.Interrupted = true, report.Interrupted
		for _, result := range report.Results {
			if err := events.send(event{Result: &result}); err != nil {
				return err
			}
		}
	}
	return events.send(event{Done: &last})
}

// workOn does the task and tells the supervisor of it on the way.
func workOn(ctx context.Context, t task, first order, orders *json.Decoder, events *sender) (*runner.Report, error) {
	s, replay, err := t.prepare()
	if err != nil {
		return nil, err
	}
	// Nobody is told of an event that can't be sent: the supervisor is gone, and so is this process soon.
	send := func(e event) {
		if err := events.send(e); err != nil {
			s.log.Debug(fmt.Sprintf("events: %v", err))
		}
	}
	s.fatal = func(why string) { send(event{Fatal: why}) }
	s.watch = func(f versions.File) func() {
		send(event{Begin: f.Key(), Location: f.Location})
		return func() { send(event{Over: f.Key()}) }
	}
	s.finished = func(r runner.Result) { send(event{Result: &r}) }
	s.limitMemory(func() { send(event{}) })
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go s.obey(orders, cancel)
	return t.replay(ctx, s, replay, first)
}

// obey follows the supervisor's orders, and ends with it: as by a SIGKILL, which it
// probably died of itself.
func (s *setup) obey(orders *json.Decoder, cancel func()) {
	for {
		var o order
		switch err := orders.Decode(&o); {
		case err != nil && !errors.Is(err, io.EOF):
			s.log.Error(fmt.Sprintf("orders: %v", err))
			os.Exit(exitPending)
		case err != nil:
			os.Exit(exitPending)
		case o.Stop != "":
			s.sayInterrupted(o.Stop, "finishing the file at hand")
			cancel()
			close(stopping)
		}
	}
}
