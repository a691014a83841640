package main

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run the scenarios of a configuration, and undo each",
		UsageText: "ebb run --config FILE",
		Description: `
Runs the scenarios of the configuration one after the other. Every scenario is
undone when it ends, fails or is interrupted; with auto_rollback: False a failure
is left for execute-rollback.

The first SIGINT, SIGTERM or SIGHUP undoes what was begun and exits; a second
SIGINT or SIGTERM exits at once and leaves the version files.

` + exitCodes,
		Flags: commonFlags(append(timeFlags(),
			&cli.BoolFlag{Name: "skip-unsupported", Usage: "run the rest when the configuration lists types that ebb does not support"},
			&cli.BoolFlag{Name: "skip-preflight", Usage: "don't ask first whether the user may do what the scenarios and their undo need"},
			&cli.BoolFlag{Name: "ignore-safety-keys", Usage: "run although keys are on that would delay or stop chaos in Krkn and that ebb does not have"},
		)...),
		Action: runScenarios,
	}
}

func runScenarios(c *cli.Context) error {
	if err := errors.Join(noOperands(c), positive(c, "timeout", "file-timeout", "grace")); err != nil {
		return err
	}
	s, err := load(c, func(file string) (*config.Config, error) {
		return config.Load(file, config.Options{IgnoreSafetyKeys: c.Bool("ignore-safety-keys")})
	})
	if err != nil {
		return err
	}
	for _, w := range s.store.Warnings() {
		s.log.Warn(w)
	}
	id := s.RunUUID
	if id == "" {
		id = uuid.NewString()
	}
	replay := fmt.Sprintf("ebb execute-rollback --config %s --run_uuid %s", s.File, id)
	ctx, stop := interruptible(c.Context, s, c.Duration("grace"), replay)
	defer stop()
	r, err := s.runner(c)
	if err != nil {
		return err
	}
	files := make([]runner.ScenarioFile, len(s.Scenarios))
	for i, scenario := range s.Scenarios {
		files[i] = runner.ScenarioFile{Type: scenario.Type, Path: scenario.Path, From: fmt.Sprintf("%s:%d", s.File, scenario.Line)}
	}
	scenarios, err := r.Prepare(ctx, files, c.Bool("skip-unsupported"))
	if err != nil {
		return err
	}
	if len(scenarios) == 0 {
		s.log.Warn(fmt.Sprintf("%s lists no scenarios that can be run", s.File))
		return nil
	}
	report := r.Run(ctx, scenarios, runner.RunOptions{
		UUID: id, AutoRollback: s.AutoRollback, ExitOnFailure: s.ExitOnFailure,
		Iterations: s.Iterations, Daemon: s.DaemonMode, Wait: s.WaitDuration,
		SkipPreflight: c.Bool("skip-preflight"),
	})
	for _, x := range report.Executions {
		for _, hint := range hints(x.Err) {
			s.log.Info("hint: " + hint)
		}
	}
	switch pending := report.Pending(); {
	case pending > 0:
		s.log.Error(fmt.Sprintf("%d version file(s) not restored; look: ebb list-rollback --config %s --pending; replay: %s", pending, s.File, replay))
		return outcomeError(exitPending)
	case report.Refused():
		return outcomeError(exitRefused)
	case report.Interrupted:
		s.log.Warn("interrupted, everything is restored")
		return outcomeError(exitInterrupted)
	case report.Failed() > 0:
		left := "everything is restored"
		if len(report.Results().Results) == 0 {
			left = "nothing was changed"
		}
		s.log.Error(fmt.Sprintf("%d of %d scenario(s) failed, %s", report.Failed(), len(report.Executions), left))
		return outcomeError(exitFailed)
	}
	s.log.Info(fmt.Sprintf("Run %s finished: %d scenario(s), everything is restored", id, len(report.Executions)))
	return nil
}
