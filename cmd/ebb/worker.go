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

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// workerFlag makes execute-rollback the worker of a supervisor: see supervise.go.
const workerFlag = "replay-worker"

// What the worker inherits beside the usual three. Its standard error is the supervisor's
// to read: what Go's runtime says when the process crashes goes there, and nobody wants a page of
// stacks at 3 a.m. Everything else speaks to the user's own.
const (
	eventsFD = 3
	ordersFD = 4
	stderrFD = 5
)

// stopping is closed when a worker has heard of a signal.
var stopping = make(chan struct{})

// maxStack ends a runaway recursion of Go's own before it has used a gigabyte, which is the default.
const maxStack = 128 << 20

// work is the worker's main.
func work(c *cli.Context) error {
	// Programs that this one starts, such as a kubeconfig's, must not hold the pipes open.
	syscall.CloseOnExec(eventsFD)
	syscall.CloseOnExec(ordersFD)
	syscall.CloseOnExec(stderrFD)
	events := newSender(os.NewFile(eventsFD, "events"))
	orders := json.NewDecoder(os.NewFile(ordersFD, "orders"))
	os.Stderr = os.NewFile(stderrFD, "/dev/stderr")
	c.App.ErrWriter = os.Stderr
	surviveReader()
	// Not ignored, since programs that this one starts would inherit that.
	signal.Notify(make(chan os.Signal, 1), endings()...)
	debug.SetMaxStack(maxStack)

	var first order
	if err := orders.Decode(&first); err != nil {
		return &usageError{err: fmt.Errorf("--%s is for ebb's own use: %w", workerFlag, err)}
	}
	report, err := replay(c, first, orders, events)
	last := done{}
	if err != nil {
		last.Code = exitCode(c.App.ErrWriter, err)
	} else {
		last.Reported, last.Interrupted = true, report.Interrupted
		for _, result := range report.Results {
			if err := events.send(event{Result: toWire(result)}); err != nil {
				return err
			}
		}
	}
	return events.send(event{Done: &last})
}

// replay is the replay itself.
func replay(c *cli.Context, first order, orders *json.Decoder, events *sender) (*runner.Report, error) {
	s, err := load(c, config.LoadForRollback)
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
		send(event{Begin: f.Location})
		return func() { send(event{Over: f.Location}) }
	}
	s.finished = func(r runner.Result) { send(event{Result: toWire(r)}) }
	s.limitMemory(func() { send(event{}) })
	r, err := s.runner(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(c.Context)
	defer cancel()
	go s.obey(orders, cancel)

	sel := runner.Selection{
		RunUUID: c.String("run_uuid"), ScenarioType: c.String("scenario_type"),
		DryRun: c.Bool("dry-run"), KeepGoing: c.Bool("keep-going"), Parallel: c.Int("parallel"),
		Tried: map[string]runner.Result{}, Lost: map[string]error{},
	}
	for _, w := range first.Tried {
		sel.Tried[w.File.Location] = w.result()
	}
	for location, how := range first.Lost {
		sel.Lost[location] = fmt.Errorf("the process that replayed it %s", how)
	}
	if first.Slow {
		sel.Parallel = 1
	}
	another := len(first.Tried)+len(first.Lost) > 0
	if !sel.DryRun && !another {
		s.log.Info("Executing rollback version files")
		if sel.RunUUID == "" && sel.ScenarioType == "" {
			s.log.Warn("scenario_type is not specified, executing all scenarios in rollback directory")
		}
	}
	return r.Replay(ctx, sel)
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
			s.sayInterrupted(o.Stop)
			cancel()
			close(stopping)
		}
	}
}
