package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/runner"
)

type executeOptions struct {
	commonOptions
	selectionOptions
	timeOptions
	DryRun    bool
	ExitCode  bool
	KeepGoing bool
	Parallel  int
	Force     bool
	Output    string
}

func (o *executeOptions) flags() []cli.Flag {
	return slices.Concat(o.selectionOptions.flags(), o.timeOptions.flags(), []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Destination: &o.DryRun, Usage: "list what would be done, change nothing"},
		&cli.BoolFlag{Name: "exit-code", Destination: &o.ExitCode, Usage: "with --dry-run: exit with 5 when there is something to restore"},
		&cli.BoolFlag{Name: "keep-going", Destination: &o.KeepGoing, Usage: "replay older files of an execution after a newer one failed"},
		&cli.IntFlag{Name: "parallel", Destination: &o.Parallel, Value: runner.DefaultParallel, Usage: "how many independent executions to replay at the same time; fewer while the API server throttles"},
		&cli.BoolFlag{Name: "force", Destination: &o.Force, Usage: "replay files of another cluster, and files that replaced the one that ebb wrote"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Destination: &o.Output, Value: "text", Usage: "text or json"},
	}, o.commonOptions.flags())
}

func (o *executeOptions) check() error {
	err := errors.Join(o.noOperands(), o.commonOptions.check(), o.timeOptions.check(), oneOf("output", o.Output, "text", "json"))
	if o.ExitCode && !o.DryRun {
		err = errors.Join(err, errors.New("--exit-code: got it without --dry-run"))
	}
	if o.Parallel < 1 || o.Parallel > 64 {
		err = errors.Join(err, fmt.Errorf("--parallel: got %d, want 1 to 64", o.Parallel))
	}
	return err
}

func executeCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "execute-rollback",
		Usage:     "undo what is pending",
		UsageText: "ebb execute-rollback [-c FILE] [-r UUID] [-s TYPE] [--dry-run]",
		Description: `
Replays the pending version files, newest first, verifies each, and renames it to
.executed. Without filters it replays all pending files. A file that fails stays
pending and blocks the older files of its execution. Other executions go on.
` + exitHelp(helpUndone, helpFailed, helpPending, helpRefused, helpSomeToDo, helpUsage, helpInterrupted),
	}, runExecute)
}

func runExecute(ctx context.Context, o executeOptions) error {
	s, err := load(&o.commonOptions, o.readRollback)
	if err != nil {
		return err
	}
	s.again = "ebb execute-rollback --config " + o.configFile()
	ours, krkns, err := s.selected(ctx, o.selectionOptions)
	if err != nil {
		return &untriedError{err}
	}
	s.krkns, s.exitCode = krkns, o.ExitCode
	end := func() {}
	if o.DryRun { // which says nothing else until all is known
		var one func()
		one, end = s.progress.Count(s.log, ours, "version files looked at")
		s.finished = func(runner.Result) { one() }
	}
	defer end()
	settings := s.settings(&o.commonOptions, o.timeOptions)
	settings.Force = o.Force
	settings.TotalPatience = o.Timeout // a replay comes to an end, however often the server goes away
	v, err := s.supervise(ctx, &o.commonOptions, settings)
	if err != nil {
		return err
	}
	defer v.stop()
	if !o.DryRun {
		s.log.Info("Executing rollback version files")
		if o.RunUUID == "" && o.ScenarioType == "" {
			s.log.Warn("scenario_type is not specified, executing all scenarios in rollback directory")
		}
	}
	report, err := v.Replay(v.ctx, runner.ReplayOptions{
		RunUUID: o.RunUUID, ScenarioType: o.ScenarioType,
		DryRun: o.DryRun, KeepGoing: o.KeepGoing, Parallel: o.Parallel,
	})
	end()
	return v.replayed(report, err, o.Output)
}
