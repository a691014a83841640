package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/versions"
)

type markOptions struct {
	commonOptions
	Reason string
}

func (o *markOptions) flags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "reason", Destination: &o.Reason, Usage: "why nothing is left to restore; required"},
	}, o.commonOptions.flags()...)
}

func (o *markOptions) check() error {
	o.Reason = strings.TrimSpace(o.Reason)
	if len(o.operands) != 1 || o.Reason == "" {
		return &usageError{
			err:   fmt.Errorf("got %d operands and reason %q, want one version file and a reason", len(o.operands), o.Reason),
			hints: []string{"ebb mark-rollback --reason TEXT FILE"},
		}
	}
	return o.commonOptions.check()
}

func markCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "mark-rollback",
		Usage:     "mark a version file as restored by hand",
		UsageText: "ebb mark-rollback --reason TEXT FILE",
		Description: `
Renames a pending version file to .executed without running it, and writes into the
journal who did it and why. Use it for what a person has restored, and for what can
never be restored. It takes Krkn's own .py files, too.
` + exitHelp(helpDone, helpFailed, helpRefused, helpUsage),
	}, runMark)
}

func runMark(ctx context.Context, o markOptions) error {
	s, err := newSetup(&o.commonOptions)
	if err != nil {
		return err
	}
	store, file, err := locate(o.operands[0], o.trust(versions.TrustAuto))
	if err != nil {
		return err
	}
	// Krkn's own may be marked, too: nothing else takes them from the list.
	if file.State != versions.Pending {
		return &usageError{err: fmt.Errorf("%q is no pending version file", file.Location)}
	}
	marked, err := mark(ctx, store, file)
	if err != nil {
		return err
	}
	entry := versions.Entry{
		Event: versions.EventMarked, RunUUID: marked.run, ScenarioType: file.ScenarioType,
		Execution: file.Execution, File: file.Name, Message: o.Reason,
	}
	if err := store.Append(ctx, entry); err != nil {
		s.log.Warn(fmt.Sprintf("the journal was not written: %v", err))
	}
	_, err = fmt.Fprintf(s.stdout, "%s: marked as restored by hand\n", console.Clean(marked.Location))
	return err
}

// markedFile is a file with its new name, and the run that it is of.
type markedFile struct {
	versions.File
	run string
}

// mark renames a file under its execution's lock.
func mark(ctx context.Context, store *versions.Dir, file versions.File) (marked markedFile, err error) {
	x, err := store.Open(ctx, file.Execution)
	if err != nil {
		return marked, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	renamed, err := x.MarkExecuted(ctx, file)
	return markedFile{renamed, x.RunUUID()}, err
}
