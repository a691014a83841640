package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

type verifyOptions struct {
	commonOptions
	selectionOptions
	timeOptions
	Force  bool
	Output string
}

func (o *verifyOptions) flags() []cli.Flag {
	return slices.Concat(o.selectionOptions.flags(), o.timeOptions.flags(), []cli.Flag{
		&cli.BoolFlag{Name: "force", Destination: &o.Force, Usage: "also verify files of another cluster, and files that replaced the one that ebb wrote"},
		outputFlag(&o.Output, "text or json"),
	}, o.commonOptions.flags())
}

func (o *verifyOptions) check() error {
	err := errors.Join(o.commonOptions.check(), o.timeOptions.check(), oneOf("output", o.Output, "text", "json"))
	if len(o.operands) > 0 && (o.RunUUID != "" || o.ScenarioType != "") {
		err = errors.Join(err, fmt.Errorf("got files and a selection, want one of both"))
	}
	return err
}

func verifyCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "verify-rollback",
		Usage:     "check that what was undone is still restored",
		UsageText: "ebb verify-rollback [-c FILE] [-r UUID] [-s TYPE] [FILE...]",
		Description: `
Calls the verify of each version file once, also of executed files, and changes
nothing. It shows whether everything is still restored. Without operands it takes all
files, or those that -r and -s select. It skips the files of a run that is alive.
What only a helper pod could see, which went with the undo, is "not observed".
` + exitHelp(exitLine{exitDone, "all of it is restored"}, helpFailed, helpPending, helpRefused, helpUsage, helpInterrupted),
	}, runVerify)
}

func runVerify(ctx context.Context, o verifyOptions) error {
	read := o.readRollback
	if len(o.operands) > 0 {
		read = o.readIfNamed
	}
	o.force = o.Force
	s, err := load(&o.commonOptions, read)
	if err != nil {
		return err
	}
	options := runner.ReplayOptions{Verify: true, RunUUID: o.RunUUID, ScenarioType: o.ScenarioType}
	for i, operand := range o.operands {
		store, file, err := s.locate(ctx, &o.commonOptions, operand)
		switch {
		case err != nil:
			return err
		case i > 0 && store.Location() != s.store.Location():
			return &usageError{err: fmt.Errorf("got files of the versions directories %q and %q, want those of one", s.store.Location(), store.Location())}
		case file.Kind != versions.KindVersion:
			return notOurs(s, file)
		}
		s.store = store
		options.Only = append(options.Only, file.Key())
	}
	if len(o.operands) == 0 {
		if _, s.krkns, err = s.selected(ctx, o.selectionOptions); err != nil {
			return err
		}
	}
	s.again = s.next("verify-rollback", append(o.selectionOptions.words(), o.operands...)...)
	count := s.counterOf(func() (int, int, error) {
		n, err := s.countVerifiable(ctx, options)
		return n, 0, err
	})
	s.counts, s.finished = true, count.finished
	v, err := s.superviseReplay(ctx, &o.commonOptions, o.timeOptions, o.Force)
	if err != nil {
		return err
	}
	defer v.stop()
	defer count.begin("verified")()
	report, err := v.Replay(v.ctx, options)
	count.end()
	var incomplete *supervisor.IncompleteError
	if v.wasKilled() {
		return v.afterKill()
	}
	if err != nil && !errors.As(err, &incomplete) {
		return err
	}
	if err != nil {
		s.log.Error(fmt.Sprintf("%v: not all files were asked", err))
	}
	return s.finishVerify(report, o.Output, err != nil)
}

// countVerifiable counts the files whose verify will be called.
func (s *setup) countVerifiable(ctx context.Context, o runner.ReplayOptions) (int, error) {
	if len(o.Only) > 0 {
		return len(o.Only), nil
	}
	n := 0
	for x, err := range versions.Executions(ctx, s.store.Store, versions.Filter{RunUUID: o.RunUUID, ScenarioType: o.ScenarioType}) {
		if err != nil && !errors.As(err, new(*versions.EntryError)) {
			return 0, err
		}
		for _, f := range x.Files {
			if f.Kind == versions.KindVersion {
				n++
			}
		}
	}
	return n, nil
}

// finishVerify prints the results. A file whose verify could not be called does not count as
// restored.
func (s *setup) finishVerify(report *runner.Report, output string, incomplete bool) error {
	unprinted := s.print(report, output)
	if unprinted != nil {
		// What is not restored matters more than the failed output.
		s.log.Error(fmt.Sprintf("the results can't be printed: %v", unprinted))
	}
	count := map[runner.Outcome]int{}
	for _, x := range report.Results {
		count[x.Outcome]++
	}
	verified := count[runner.Verified]
	say := s.log.Info
	if verified < len(report.Results) {
		say = s.log.Error
	}
	how := ""
	if report.Interrupted {
		how = "interrupted: "
	}
	if len(report.Results) > 0 {
		say(fmt.Sprintf("%s%d of %d version file(s) verified: what they undo is restored", how, verified, len(report.Results)))
	} else {
		s.log.Info(how + "nothing to verify: no version file of ebb's was selected")
	}
	s.sayKrkns(s.krkns)
	if unseen := count[runner.NotObserved]; unseen > 0 {
		s.log.Error(fmt.Sprintf("of %d version file(s) it can't be seen any more whether what they undo is restored", unseen))
	}
	s.sayUnverified(report)
	switch {
	case report.Pending() > 0 || incomplete || s.krkns > 0:
		return outcomeError(exitPending)
	case report.Refused() > 0:
		return outcomeError(exitRefused)
	case report.Interrupted:
		return outcomeError(exitInterrupted)
	case unprinted != nil || verified < len(report.Results):
		return outcomeError(exitFailed)
	}
	return nil
}

// mostSaid is for how many files that are not restored a command of their own is printed.
const mostSaid = 3

// sayUnverified says how to restore what is not restored, including what was restored once.
func (s *setup) sayUnverified(report *runner.Report) {
	said := 0
	for _, x := range report.Results {
		if x.Outcome != runner.Failed {
			continue
		}
		if said++; said > mostSaid {
			s.log.Info("hint: and so on for the others")
			return
		}
		s.log.Info("hint: see what its undo would do: " + s.next("exec", "--dry-run", x.File.Location))
	}
}
