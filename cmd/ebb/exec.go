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

type execOptions struct {
	commonOptions
	timeOptions
	DryRun    bool
	KeepGoing bool
	Force     bool
	Output    string
}

func (o *execOptions) flags() []cli.Flag {
	return slices.Concat(o.timeOptions.flags(), []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Destination: &o.DryRun, Usage: "show what would be done, change nothing"},
		&cli.BoolFlag{Name: "keep-going", Destination: &o.KeepGoing, Usage: "replay it even if a newer file of its execution is pending"},
		forceFlag(&o.Force),
		outputFlag(&o.Output, "text or json"),
	}, o.commonOptions.flags())
}

func (o *execOptions) check() error {
	return errors.Join(o.oneFile("exec"), o.commonOptions.check(), o.timeOptions.check(), oneOf("output", o.Output, "text", "json"))
}

func execCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "exec",
		Usage:     "undo one version file (its first line calls this)",
		UsageText: "ebb exec [--dry-run] FILE",
		Description: `
Replays one version file of a versions directory. A pending one is renamed to
.executed when it is restored; an executed one is replayed again and keeps its
name. The configuration is read only if --config is given.
` + exitHelp(helpUndone, helpFailed, helpPending, helpRefused, helpUsage, helpInterrupted),
	}, runExec)
}

func runExec(ctx context.Context, o execOptions) error {
	o.force = o.Force
	s, err := load(&o.commonOptions, o.readIfNamed)
	if err != nil {
		return err
	}
	var file versions.File
	if s.store, file, err = s.locate(ctx, &o.commonOptions, o.operands[0]); err != nil {
		return err
	}
	if file.Kind != versions.KindVersion {
		return notOurs(s, file)
	}
	s.again = s.next("exec", replayWords(o.KeepGoing, o.Force, o.operands[0])...)
	v, err := s.superviseReplay(ctx, &o.commonOptions, o.timeOptions, o.Force)
	if err != nil {
		return err
	}
	defer v.stop()
	report, err := v.ReplayFile(v.ctx, file, runner.ReplayOptions{DryRun: o.DryRun, KeepGoing: o.KeepGoing})
	return v.replayed(report, err, o.Output)
}

// notOurs returns the error for a file that has to be imported first.
func notOurs(s *setup, f versions.File) error {
	return &usageError{err: fmt.Errorf("%q is Krkn's Python, want a version file of ebb's; to make one of it: %s", f.Location, s.next("import-rollback", f.Location))}
}
