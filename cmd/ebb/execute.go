package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
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
		&cli.IntFlag{Name: "parallel", Destination: &o.Parallel, Value: 1, Usage: "how many independent executions to replay at the same time"},
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

// finish prints a report and returns what its exit code is.
func (s *setup) finish(report *runner.Report, output string) error {
	print := printText
	if output == "json" {
		print = printJSON
	}
	if err := print(s.stdout, report); err != nil {
		// What was undone is undone: the exit code has to tell, if nothing else can.
		s.log.Error(fmt.Sprintf("the results can't be printed: %v", err))
		if report.Pending()+report.Refused() == 0 {
			return outcomeError(exitFailed)
		}
	}
	for reason, n := range shared(report) {
		s.log.Error(fmt.Sprintf("%d version files failed for one reason: %s", n, reason))
	}
	s.sayKrkns(s.krkns)
	if planned(report) {
		s.log.Info(planSummary(report))
	}
	switch pending := report.Pending(); {
	case pending > 0:
		s.log.Error(fmt.Sprintf("%d of %d version file(s) not restored; fix the cause, then run: %s", pending+report.Refused(), len(report.Results), s.again))
		if unconfigured(report) {
			return outcomeError(exitUsage)
		}
		return outcomeError(exitPending)
	case s.krkns > 0:
		return outcomeError(exitPending)
	case report.Refused() > 0:
		s.log.Error(fmt.Sprintf("%d of %d version file(s) refused or in use", report.Refused(), len(report.Results)))
		return outcomeError(exitRefused)
	case report.Interrupted:
		return outcomeError(exitInterrupted)
	case len(report.Results) == 0:
		s.log.Info("Nothing to do: no pending version files")
	case !planned(report):
		s.log.Info("Rollback execution and cleanup completed successfully")
	case s.exitCode:
		return outcomeError(exitSomeToDo)
	}
	return nil
}

func planned(report *runner.Report) bool {
	return slices.ContainsFunc(report.Results, func(x runner.Result) bool { return x.Outcome == runner.Planned })
}

// unconfigured reports whether nothing was tried because the cluster can't be reached as it is
// configured.
func unconfigured(report *runner.Report) bool {
	return !slices.ContainsFunc(report.Results, func(x runner.Result) bool {
		return x.Outcome != runner.Blocked && runner.KindOf(x.Err) != runner.KindConfiguration
	})
}

func printText(w io.Writer, report *runner.Report) error {
	said := map[runner.Trouble]bool{}
	for _, x := range report.Results {
		line := fmt.Sprintf("%s: %s", console.Clean(x.File.Location), x.Outcome)
		trouble, general := runner.TroubleOf(x.Err)
		advice := hints(x.Err)
		switch {
		case said[trouble]:
			line += ": as above"
			advice = nil
		case x.Err != nil:
			line += ": " + console.Clean(x.Reason())
			said[trouble] = general
		}
		if x.Integrity == versions.Edited || x.Integrity == versions.Replaced {
			line += fmt.Sprintf(" (%s)", x.Integrity)
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
		if err := printActions(w, x, console.Color(w)); err != nil {
			return err
		}
		for _, hint := range advice {
			if _, err := fmt.Fprintln(w, "  hint: "+console.Clean(hint)); err != nil {
				return err
			}
		}
	}
	return nil
}

// jsonResult is the shape of -o json.
type jsonResult struct {
	File      string             `json:"file"`
	RunUUID   string             `json:"run_uuid"`
	Outcome   string             `json:"outcome"`
	Kind      runner.Kind        `json:"kind,omitempty"` // of the error: what a program decides by
	Error     string             `json:"error,omitempty"`
	Hints     []string           `json:"hints,omitempty"`
	BlockedBy string             `json:"blocked_by,omitempty"`
	Integrity versions.SealState `json:"integrity,omitempty"` // written, edited, replaced or unsealed
	Actions   []string           `json:"actions,omitempty"`
	Changes   []builtins.Change  `json:"changes,omitempty"` // of a dry run: each object as it is and as it would be
	Seconds   float64            `json:"seconds"`
}

func printJSON(w io.Writer, report *runner.Report) error {
	results := []jsonResult{}
	for _, x := range report.Results {
		r := jsonResult{
			File: x.File.Location, RunUUID: x.RunUUID, Outcome: string(x.Outcome), BlockedBy: x.BlockedBy,
			Integrity: x.Integrity, Actions: x.Actions, Changes: x.Changes, Hints: hints(x.Err), Seconds: x.Took.Seconds(),
		}
		if x.Err != nil {
			r.Kind, r.Error = runner.KindOf(x.Err), x.Reason()
		}
		results = append(results, r)
	}
	e := json.NewEncoder(console.JSON(w))
	e.SetIndent("", "  ")
	return e.Encode(results)
}
