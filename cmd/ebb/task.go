package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/runner"
)

// task is a command that replays version files.
type task struct {
	command string // that does it again, for messages
	output  string // text or json
	// prepare reads the configuration, in the process that replays.
	prepare func() (*setup, replayer, error)
}

// replayer does the work of a task.
type replayer func(ctx context.Context, r *runner.Runner, sel runner.Selection) (*runner.Report, error)

// run does the task in a process of its own, or is that process.
func (t task) run(c *cli.Context) error {
	if c.IsSet(workerFlag) {
		return work(c, t)
	}
	return supervise(c, t)
}

// here does the task in this process, where no other can be started.
func (t task) here(c *cli.Context) error {
	s, replay, err := t.prepare()
	if err != nil {
		return err
	}
	s.again = t.command
	s.limitMemory(func() {})
	ctx, stop := interruptible(c.Context, s, c.Duration("grace"), t.command)
	defer stop()
	report, err := s.replay(ctx, c, replay, order{})
	if err != nil {
		return err
	}
	return s.finish(report, t.output)
}

// replay does what the flags and the supervisor want.
func (s *setup) replay(ctx context.Context, c *cli.Context, replay replayer, o order) (*runner.Report, error) {
	r, err := s.runner(c)
	if err != nil {
		return nil, err
	}
	sel := runner.Selection{
		RunUUID: c.String("run_uuid"), ScenarioType: c.String("scenario_type"),
		DryRun: c.Bool("dry-run"), KeepGoing: c.Bool("keep-going"), Parallel: c.Int("parallel"),
		Tried: map[string]runner.Result{}, Lost: map[string]error{},
	}
	for _, w := range o.Tried {
		sel.Tried[w.File.Key()] = w.result()
	}
	for key, f := range o.Lost {
		sel.Lost[key] = f.err()
	}
	if o.Slow {
		sel.Parallel = 1
	}
	return replay(ctx, r, sel)
}
