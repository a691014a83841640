package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

type executeOptions struct {
	commonOptions
	selectionOptions
	timeOptions
	DryRun        bool
	ExitCode      bool
	Out           string
	Plan          string
	Yes           bool
	ForceConflict string
	Report        string
	KeepGoing     bool
	Parallel      int
	Force         bool
	Output        string
}

func (o *executeOptions) flags() []cli.Flag {
	return slices.Concat(o.selectionOptions.flags(), o.timeOptions.flags(), []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Destination: &o.DryRun, Usage: "list what would be done, change nothing"},
		&cli.BoolFlag{Name: "exit-code", Destination: &o.ExitCode, Usage: "with --dry-run: exit with 5 when there is something to restore"},
		&cli.StringFlag{Name: "out", Destination: &o.Out, Usage: "with --dry-run: write the plan into the file `PLAN`"},
		&cli.StringFlag{Name: "plan", Destination: &o.Plan, Usage: "carry out the plan in the file `PLAN`, and only if nothing has changed since it was made"},
		&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Destination: &o.Yes, Usage: "don't ask on a terminal"},
		&cli.StringFlag{Name: "force-conflict", Destination: &o.ForceConflict, Usage: "undo this one version `FILE`, also what somebody else changed since; its diff is shown first"},
		&cli.StringFlag{Name: "report", Destination: &o.Report, Usage: "write report.html, a page about the replay, and report.json into `DIR`"},
		&cli.BoolFlag{Name: "keep-going", Destination: &o.KeepGoing, Usage: "replay older files of an execution after a newer one failed"},
		&cli.IntFlag{Name: "parallel", Destination: &o.Parallel, Value: runner.DefaultParallel, Usage: "how many independent executions to replay at the same time; fewer while the API server throttles"},
		forceFlag(&o.Force),
		outputFlag(&o.Output, "text or json"),
	}, o.commonOptions.flags())
}

func (o *executeOptions) check() error {
	err := errors.Join(o.noOperands(), o.commonOptions.check(), o.timeOptions.check(), oneOf("output", o.Output, "text", "json"))
	for _, need := range []struct {
		flag string
		set  bool
	}{{"exit-code", o.ExitCode}, {"out", o.Out != ""}} {
		if need.set && !o.DryRun {
			err = errors.Join(err, fmt.Errorf("--%s: got it without --dry-run", need.flag))
		}
	}
	if one := o.DryRun || o.RunUUID != "" || o.ScenarioType != ""; one && o.Plan != "" {
		err = errors.Join(err, errors.New("--plan: got it with --dry-run or a selection, which the plan has itself"))
	}
	if other := o.Plan != "" || o.RunUUID != "" || o.ScenarioType != "" || o.Out != ""; other && o.ForceConflict != "" {
		err = errors.Join(err, errors.New("--force-conflict: got it with a plan or a selection, want it alone: it is for one file"))
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
		UsageText: "ebb execute-rollback [-c FILE] [-r UUID] [-s TYPE] [--dry-run [--out PLAN]]",
		Description: `
Replays the pending version files, newest first, verifies each, and renames it to
.executed. Without filters it replays all pending files. A file that fails stays
pending and blocks the older files of its execution. Other executions go on.

On a terminal it shows first what it would do, and asks. --dry-run only shows it:
each object with the difference that the undo makes, as the API server sees it.

A file in conflict is left alone, because somebody else has changed the same object
since. Then one of these is right:

   theirs    ebb mark-rollback --reason TEXT FILE
   ours      ebb execute-rollback --force-conflict FILE
   neither   ebb edit-rollback FILE
` + exitHelp(helpUndone, helpFailed, helpPending, helpRefused, helpSomeToDo, helpUsage, helpInterrupted),
	}, runExecute)
}

func runExecute(ctx context.Context, o executeOptions) error {
	if o.ForceConflict != "" {
		return runForceConflict(ctx, o)
	}
	return reported(&o.commonOptions, o.Report, "Replay", func(r *reporter) error { return executeRollback(ctx, o, r) })
}

func executeRollback(ctx context.Context, o executeOptions, r *reporter) error {
	o.force = o.Force
	s, err := load(&o.commonOptions, o.readRollback)
	if err != nil {
		return err
	}
	var plan *planFile
	if o.Plan != "" {
		if plan, err = s.readPlan(o.Plan); err != nil {
			return err
		}
		o.RunUUID, o.ScenarioType, o.KeepGoing, o.Force = plan.RunUUID, plan.ScenarioType, plan.KeepGoing, plan.Force
	}
	s.again = s.next("execute-rollback", replayWords(o.KeepGoing, o.Force, o.words()...)...)
	s.exitCode, s.counts = o.ExitCode, true
	count := s.newCounter(ctx, o.selectionOptions)
	// A typing error in a selection must not look like "nothing to do", and a person wants to see
	// how many files are selected.
	if o.RunUUID != "" || o.ScenarioType != "" || onTerminal() {
		if _, err := count.counted(); err != nil {
			return &untriedError{err}
		}
	}
	s.reporter = r
	r.fact("configuration", o.configFile())
	r.fact("versions", s.store.Location())
	s.finished = func(x runner.Result) {
		count.finished(x)
		r.fileFinished(x)
	}
	v, err := s.superviseReplay(ctx, &o.commonOptions, o.timeOptions, o.Force)
	if err != nil {
		return err
	}
	defer v.stop()
	x := &execution{supervised: v, options: o, count: count, replay: runner.ReplayOptions{
		RunUUID: o.RunUUID, ScenarioType: o.ScenarioType, KeepGoing: o.KeepGoing, Parallel: o.Parallel,
	}}
	switch {
	case o.DryRun:
		return x.dryRun()
	case plan != nil:
		if done, err := x.follow(plan); done {
			return err
		}
	case !o.Yes && o.Output == "text" && count.total() > 0 && onTerminal():
		if done, err := x.askFirst(); done {
			return err
		}
	}
	return x.restore()
}

// execution is one call of execute-rollback.
type execution struct {
	*supervised
	options executeOptions
	replay  runner.ReplayOptions
	count   *counter
}

// look finds out what a replay would do.
func (x *execution) look() (*runner.Report, error) {
	defer x.count.begin("looked at")()
	options := x.replay
	options.DryRun = true
	return x.Replay(x.ctx, options)
}

func (x *execution) dryRun() error {
	report, err := x.look()
	if err == nil && x.options.Out != "" {
		if err := x.writePlan(report); err != nil {
			return err
		}
	}
	return x.replayed(report, err)
}

// askFirst shows what would be done, and asks. done means that there is nothing left to do.
func (x *execution) askFirst() (done bool, err error) {
	report, err := x.look()
	if err == nil && report.Interrupted && !x.wasKilled() {
		return true, &untriedError{context.Canceled}
	}
	if err != nil || !planned(report) {
		return true, x.replayed(report, err)
	}
	s := x.setup
	if err := s.printText(report); err != nil {
		return true, &untriedError{err}
	}
	s.log.Info(planSummary(report))
	yes, err := x.confirm("Restore this?")
	if err != nil || !yes {
		return true, err
	}
	x.replay.Only = keysOf(report.Results)
	return false, nil
}

// restore replays the files.
func (x *execution) restore() error {
	defer x.count.begin("replayed")()
	x.setup.log.Info("Executing rollback version files")
	if x.options.RunUUID == "" && x.options.ScenarioType == "" {
		x.setup.log.Warn("scenario_type is not specified, executing all scenarios in rollback directory")
	}
	report, err := x.Replay(x.ctx, x.replay)
	x.count.end()
	return x.replayed(report, err)
}

// replayed reports the result, and the files that only Krkn can replay.
func (x *execution) replayed(report *runner.Report, err error) error {
	krkns, countErr := x.count.counted()
	if err == nil && countErr != nil {
		x.setup.log.Error(fmt.Sprintf("whether files of Krkn's are pending is not known: %v", countErr))
	}
	x.setup.krkns = krkns
	outcome := x.supervised.replayed(report, err, x.options.Output)
	if outcome == nil {
		return countErr
	}
	return outcome
}

func keysOf(results []runner.Result) []string {
	var keys []string
	for _, r := range results {
		if r.File.Kind == versions.KindVersion {
			keys = append(keys, r.File.Key())
		}
	}
	return keys
}
