package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/versions"
)

type markOptions struct {
	commonOptions
	selectionOptions
	Reason string
	DryRun bool
}

func (o *markOptions) flags() []cli.Flag {
	return slices.Concat([]cli.Flag{
		&cli.StringFlag{Name: "reason", Destination: &o.Reason, Usage: "why nothing is left to restore; required"},
		&cli.BoolFlag{Name: "dry-run", Destination: &o.DryRun, Usage: "list what would be marked, change nothing"},
	}, o.selectionOptions.flags(), o.commonOptions.flags())
}

func (o *markOptions) check() error {
	o.Reason = strings.TrimSpace(o.Reason)
	selected := o.RunUUID != "" || o.ScenarioType != ""
	var err error
	switch {
	case o.Reason == "" || !selected && len(o.operands) == 0:
		err = fmt.Errorf("got %d operands and reason %q, want a reason, and version files or a selection", len(o.operands), o.Reason)
	case selected && len(o.operands) > 0:
		err = fmt.Errorf("got %d operands and a selection, want one of both", len(o.operands))
	default:
		return o.commonOptions.check()
	}
	return &usageError{err: err, hints: []string{o.next("mark-rollback", "--reason", "TEXT", "FILE..."), o.next("mark-rollback", "--reason", "TEXT", "-r", "UUID")}}
}

func markCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "mark-rollback",
		Usage:     "mark version files as restored by hand",
		UsageText: "ebb mark-rollback --reason TEXT [-c FILE] {-r UUID | -s TYPE | FILE...}",
		Description: `
Renames pending version files to .executed without running them, and writes into the
journal who did it and why. Use it for what a person has restored, and for what can
never be restored. It takes Krkn's own .py files, too. -r and -s select all pending
files of a run and of a scenario type; what is in use is left alone.
` + exitHelp(helpDone, helpFailed, helpRefused, helpUsage),
	}, runMark)
}

func runMark(ctx context.Context, o markOptions) error {
	read := o.readIfNamed
	if len(o.operands) == 0 {
		read = o.readRollback
	}
	s, err := load(&o.commonOptions, read)
	if err != nil {
		return err
	}
	files, err := s.toMark(ctx, o)
	if err != nil {
		return err
	}
	var errs []error
	p := &printer{w: s.stdout}
	for _, f := range files {
		if o.DryRun {
			p.line("%s: would be marked as restored by hand", console.Clean(f.Location))
			continue
		}
		marked, err := s.mark(ctx, f, o.Reason)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.done = "marked"
		p.line("%s: marked as restored by hand", console.Clean(marked.Location))
	}
	if len(files) == 0 {
		s.log.Info("Nothing to mark: no pending version files")
	}
	for i, f := range files {
		if i == 0 || f.store.Location() != files[i-1].store.Location() {
			s.sayMore(ctx, f.store)
		}
	}
	return errors.Join(append(errs, p.failed())...)
}

// sayMore says how many of Krkn's files are still pending besides the marked ones.
func (s *setup) sayMore(ctx context.Context, store versions.Store) {
	files, err := foreignFiles(ctx, store, "")
	if err != nil {
		s.log.Debug(fmt.Sprintf("what else is pending is not known: %v", err))
	}
	if len(files) > 0 {
		s.log.Warn(fmt.Sprintf("%d pending version file(s) of Krkn's (.py) in %s are not restored; to make version files of ebb's of them: %s", len(files), store.Location(), s.next("import-rollback", store.Location())))
	}
}

// storedFile is a file with the store that it is in.
type storedFile struct {
	versions.File
	store versions.Store
}

// toMark returns the selected files.
func (s *setup) toMark(ctx context.Context, o markOptions) ([]storedFile, error) {
	var files []storedFile
	for _, operand := range o.operands {
		store, file, err := s.locate(ctx, &o.commonOptions, operand)
		if err != nil {
			return nil, err
		}
		// Krkn's own files may be marked, too: nothing else removes them from the list.
		if file.State != versions.Pending {
			return nil, &usageError{err: fmt.Errorf("%q is no pending version file", file.Location), hints: []string{s.next("show-rollback", file.Location)}}
		}
		files = append(files, storedFile{file, store})
	}
	if len(o.operands) > 0 {
		return files, nil
	}
	if _, _, err := s.selected(ctx, o.selectionOptions); err != nil {
		return nil, err
	}
	listing, err := s.store.List(ctx, versions.Filter{RunUUID: o.RunUUID, ScenarioType: o.ScenarioType, PendingOnly: true})
	if err != nil {
		return nil, err
	}
	s.problems(problemsOf(listing))
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			files = append(files, storedFile{f, s.store})
		}
	}
	return files, nil
}

// mark renames a file under its execution's lock, and records that in the journal.
func (s *setup) mark(ctx context.Context, f storedFile, reason string) (marked versions.File, err error) {
	x, err := f.store.Open(ctx, f.Execution)
	if err != nil {
		return marked, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if marked, err = x.MarkExecuted(ctx, f.File); err != nil {
		return marked, err
	}
	entry := versions.Entry{
		Event: versions.EventMarked, RunUUID: x.RunUUID(), ScenarioType: f.ScenarioType,
		Execution: f.Execution, File: f.Name, Message: reason,
	}
	if err := f.store.Append(ctx, entry); err != nil {
		s.log.Warn(fmt.Sprintf("the journal was not written: %v", err))
	}
	return marked, nil
}
