package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
)

type runOptions struct {
	commonOptions
	timeOptions
	reportOptions
	Report           string
	SkipUnsupported  bool
	SkipPreflight    bool
	IgnoreSafetyKeys bool
	// AllowIrreversible lets scenarios make changes that can't be undone.
	AllowIrreversible bool
	CheckOnly         bool
}

func (o *runOptions) flags() []cli.Flag {
	return slices.Concat(o.reportOptions.flags(), o.timeOptions.flags(), []cli.Flag{
		&cli.BoolFlag{Name: "check", Destination: &o.CheckOnly, Usage: "check the configuration and the scenario files; ask no cluster, run nothing"},
		&cli.StringFlag{Name: "report", Destination: &o.Report, Usage: "write report.html, a page about the run, report.json and junit.xml into `DIR`"},
		&cli.BoolFlag{Name: "skip-unsupported", Destination: &o.SkipUnsupported, Usage: "skip scenario types that ebb does not support"},
		&cli.BoolFlag{Name: "skip-preflight", Destination: &o.SkipPreflight, Usage: "don't check first that the user has the rights that the scenarios and their undo need"},
		&cli.BoolFlag{Name: "allow-irreversible", Destination: &o.AllowIrreversible, Usage: "run scenarios that do what can't be undone, such as the termination of a node"},
		&cli.BoolFlag{Name: "ignore-safety-keys", Destination: &o.IgnoreSafetyKeys, Usage: "run even if unsupported safety keys are enabled"},
	}, o.commonOptions.flags())
}

func (o *runOptions) check() error {
	return errors.Join(o.noOperands(), o.commonOptions.check(), o.timeOptions.check(), o.reportOptions.check())
}

func runCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "run",
		Usage:     "run the scenarios of a configuration, and undo each",
		UsageText: "ebb run [-c FILE] [--check] [-o text|json|FILE] [--junit FILE]",
		Description: `
Runs the scenarios of the configuration one after the other. Every scenario is
undone when it ends, fails or is interrupted. With auto_rollback: False, a scenario
that fails stays pending, for execute-rollback.

The first SIGINT, SIGTERM or SIGHUP undoes the current scenario and exits. A second
SIGINT or SIGTERM exits at once and leaves the version files pending.

-o json prints one JSON document at the end, whatever came of the run (docs/json.md).
` + exitHelp(helpUndone, helpRunFailed, helpPending, helpRefused, helpUsage, helpInterrupted),
	}, runRun)
}

func runRun(ctx context.Context, o runOptions) error {
	began := time.Now()
	ran := &ranRun{caller: o.caller}
	err := reported(&o.commonOptions, o.Report, "Run", func(r *reporter) error {
		if r != nil {
			r.document = func(err error) *runDocument { return ran.document(o.configFile(), began, err) }
		}
		return o.run(ctx, ran, r)
	})
	return o.write(ran.document(o.configFile(), began, err), err)
}

// run runs the scenarios, and stores their results in ran.
func (o *runOptions) run(ctx context.Context, ran *ranRun, r *reporter) error {
	o.runs = true
	s, err := load(&o.commonOptions, func() (*config.Config, error) {
		return config.Load(o.configFile(), config.Options{IgnoreSafetyKeys: o.IgnoreSafetyKeys})
	})
	if err != nil {
		return err
	}
	for _, w := range s.store.Warnings() {
		s.log.Warn(w)
	}
	if !o.CheckOnly {
		s.sayPending(ctx)
		r.fact("configuration", s.File)
		r.fact("versions", s.VersionsDirectory)
	}
	id := s.RunUUID
	if id == "" {
		id = uuid.NewString()
	}
	ran.uuid = id
	s.again = s.next("execute-rollback", "--run_uuid", id)
	settings := s.settings(&o.commonOptions, o.timeOptions)
	settings.OnStop, settings.AllowIrreversible = "rolling back", o.AllowIrreversible
	v, err := s.supervise(ctx, &o.commonOptions, settings)
	if err != nil {
		return err
	}
	defer v.stop()
	files := make([]runner.ScenarioFile, len(s.Scenarios))
	for i, scenario := range s.Scenarios {
		files[i] = runner.ScenarioFile{Type: scenario.Type, Path: scenario.Path, From: fmt.Sprintf("%s:%d", s.File, scenario.Line)}
		if scenario.Err != nil {
			files[i].Problem = scenario.Err.Error()
		}
	}
	report, err := v.Run(v.ctx, supervisor.Scenarios{Files: files, SkipUnsupported: o.SkipUnsupported}, runner.RunOptions{
		UUID: id, LeaveFailed: !s.AutoRollback, ExitOnFailure: s.ExitOnFailure,
		Iterations: s.Iterations, Daemon: s.DaemonMode, Wait: s.WaitDuration,
		SkipPreflight: o.SkipPreflight, CheckOnly: o.CheckOnly,
	})
	ran.report = report
	if o.CheckOnly && err == nil {
		if o.Output == "json" {
			return nil
		}
		_, err := fmt.Fprintf(s.stdout, "%s: ok, %d scenario file(s)\n", console.Clean(s.File), len(files))
		return err
	}
	r.ran(report)
	return v.ran(report, err)
}

// ran reports the result of a run and returns an error with the exit code.
func (v *supervised) ran(report *runner.RunReport, err error) error {
	var incomplete *supervisor.IncompleteError
	s := v.setup
	switch {
	case v.wasKilled():
		return v.afterKill()
	case errors.As(err, &incomplete):
		s.log.Error(err.Error())
		if report.Pending() == 0 {
			s.log.Error("the run was not finished; what it changed is restored")
			return outcomeError(exitFailed)
		}
	case err != nil && !runner.IsRefused(err) && !errors.Is(err, context.Canceled):
		return &usageError{err: err}
	case err != nil:
		return err
	case len(report.Scenarios) == 0 && !report.Interrupted:
		s.log.Warn(fmt.Sprintf("%s lists no scenarios that can be run", s.File))
		return nil
	}
	return s.finishRun(report, s.again)
}

// sayHints prints the hints about all failures of a run, each once.
func (s *setup) sayHints(report *runner.RunReport) {
	said := map[string]bool{}
	say := func(hints []string) {
		for _, hint := range hints {
			if !said[hint] {
				s.log.Info("hint: " + hint)
			}
			said[hint] = true
		}
	}
	for _, x := range report.Scenarios {
		say(s.hints(x.Err))
		for _, undo := range x.Results {
			say(s.resultHints(undo))
		}
	}
}

// finishRun reports the result of a run and returns an error with the exit code.
func (s *setup) finishRun(report *runner.RunReport, replay string) error {
	s.sayHints(report)
	switch pending := report.Pending(); {
	case pending > 0:
		s.log.Error(fmt.Sprintf("%d version file(s) %s; look: %s; replay: %s", pending, whatIsPending(report.Results(), pending), s.next("list-rollback", "--pending"), replay))
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
		s.log.Error(fmt.Sprintf("%d of %d scenario(s) failed, %s", report.Failed(), len(report.Scenarios), left))
		return outcomeError(exitFailed)
	}
	s.log.Info(fmt.Sprintf("Run %s finished: %d scenario(s), everything is restored", report.UUID, len(report.Scenarios)))
	return nil
}

// whatIsPending says whether what the pending files undo still has to be undone.
func whatIsPending(report *runner.Report, pending int) string {
	undone := 0
	for _, x := range report.Results {
		if x.Outcome == runner.StillPending {
			undone++
		}
	}
	switch undone {
	case 0:
		return "not restored"
	case pending:
		return "restored, and still pending: that could not be written"
	}
	return fmt.Sprintf("not restored, or still pending (%d)", undone)
}
