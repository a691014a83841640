package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/versions"
)

func markCommand() *cli.Command {
	return &cli.Command{
		Name:      "mark-rollback",
		Usage:     "say that a version file was restored by hand",
		UsageText: "ebb mark-rollback --reason TEXT FILE",
		Description: `
Renames a pending version file to .executed without running it, and notes who did so
and why in the journal: for what a person has restored, or what is gone for good.

` + exitCodes,
		Flags:  commonFlags(&cli.StringFlag{Name: "reason", Usage: "why nothing is left to restore; required"}),
		Action: markRollback,
	}
}

func markRollback(c *cli.Context) error {
	args, err := operands(c)
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(c.String("reason"))
	if len(args) != 1 || reason == "" {
		return &usageError{err: fmt.Errorf("got %d operands and reason %q, want one version file and a reason", len(args), reason), hints: []string{"ebb mark-rollback --reason TEXT FILE"}}
	}
	s, err := load(c, func(string) (*config.Config, error) {
		return &config.Config{VersionsDirectory: config.DefaultVersionsDirectory}, nil
	})
	if err != nil {
		return err
	}
	store, file, err := versions.Locate(args[0])
	if err != nil {
		return err
	}
	if !file.Replayable() {
		return &usageError{err: fmt.Errorf("%q is no pending version file", file.Location)}
	}
	marked, err := mark(c.Context, store, file)
	if err != nil {
		return err
	}
	entry := versions.Entry{
		Event: versions.EventMarked, RunUUID: marked.run, ScenarioType: file.ScenarioType,
		Execution: file.Execution, File: file.Name, Message: reason,
	}
	if err := store.Append(c.Context, entry); err != nil {
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
