package main

import (
	"context"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/runner"
)

// task is a command that replays version files.
type task struct {
	command   string // that does it again, for messages
	common    *commonOptions
	times     timeOptions
	force     bool
	output    string // text or json
	selection runner.ReplayOptions
	worker    bool // this process is the one that replays
	// prepare reads the configuration, in the process that replays.
	prepare func() (*setup, replayer, error)
}

// replayer does the work of a task.
type replayer func(ctx context.Context, r *runner.Runner, sel runner.ReplayOptions) (*runner.Report, error)

// run does the task in a process of its own, or is that process.
func (t task) run(ctx context.Context) error {
	// Whatever the flag's value is: a worker that took itself for a supervisor would start another, without end.
	if t.worker || slices.ContainsFunc(t.common.args, isWorkerFlag) {
		return work(ctx, t)
	}
	return supervise(ctx, t)
}

func isWorkerFlag(arg string) bool {
	return strings.HasPrefix(strings.TrimLeft(arg, "-"), workerFlag) && strings.HasPrefix(arg, "-")
}

// here does the task in this process, where no other can be started.
func (t task) here(ctx context.Context) error {
	s, replay, err := t.prepare()
	if err != nil {
		return err
	}
	s.again = t.command
	s.limitMemory(func() {})
	ctx, stop := interruptible(ctx, s, t.times.Grace, t.command)
	defer stop()
	report, err := t.replay(ctx, s, replay, order{})
	if err != nil {
		return err
	}
	return s.finish(report, t.output)
}

// replay does what the flags and the supervisor want.
func (t task) replay(ctx context.Context, s *setup, replay replayer, o order) (*runner.Report, error) {
	times := t.times
	times.total = times.Timeout // a replay comes to an end, however often the server goes away
	r, err := s.runner(t.common, times, t.force)
	if err != nil {
		return nil, err
	}
	sel := t.selection
	sel.Tried, sel.Lost = map[string]runner.Result{}, map[string]*runner.LostError{}
	for _, w := range o.Tried {
		sel.Tried[w.File.Key()] = w
	}
	for key, f := range o.Lost {
		sel.Lost[key] = f.err()
	}
	if o.Slow {
		sel.Parallel = 1
	}
	report, err := replay(ctx, r, sel)
	if err != nil {
		return nil, &untriedError{err}
	}
	return report, nil
}
