package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

type checkOptions struct{ commonOptions }

func checkCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "check-rollback",
		Usage:     "say what is wrong with version files",
		UsageText: "ebb check-rollback [flags] [FILE...]",
		Description: `
Checks that version files load and are complete: syntax, names, shape, things that
are never used. Without operands it checks everything that is pending. No cluster
is needed and no function of a file is called.
` + exitHelp(helpDone, helpInvalid, helpRefused, helpUsage),
	}, runCheck)
}

func runCheck(ctx context.Context, o checkOptions) error {
	read := o.readRollback
	if len(o.operands) > 0 {
		read = o.readIfNamed
	}
	s, err := load(&o.commonOptions, read)
	if err != nil {
		return err
	}
	sources, unread, err := s.sources(ctx, o.operands)
	if err != nil {
		return err
	}
	v, err := s.supervise(ctx, &o.commonOptions, s.settings(&o.commonOptions, timeOptions{}))
	if err != nil {
		return err
	}
	defer v.stop()
	found, err := v.Check(v.ctx, sources)
	if err != nil {
		return err
	}
	bad := len(unread)
	for _, f := range unread {
		if err := printFinding(s.stdout, "error", f); err != nil {
			return err
		}
	}
	for i, d := range found {
		if !d.OK() {
			bad++
		}
		if err := printDiagnosis(s.stdout, d, sources[i].Content); err != nil {
			return err
		}
	}
	if bad > 0 {
		return outcomeError(exitFailed)
	}
	return nil
}

// sources reads what is to be checked: the operands, or all that is pending. What can't be read is a
// finding.
func (s *setup) sources(ctx context.Context, operands []string) (sources []supervisor.Source, unread []supervisor.Finding, err error) {
	add := func(name string, content []byte, err error) {
		if err != nil {
			unread = append(unread, supervisor.Finding{Failure: runner.FailureOf(err)})
			return
		}
		// Before it becomes part of lines: a name with a line end would begin one of its own.
		sources = append(sources, supervisor.Source{Name: console.Clean(name), Content: content})
	}
	for _, file := range operands {
		content, err := schema.ReadFile(file)
		add(file, content, err)
	}
	if len(operands) > 0 {
		return sources, unread, nil
	}
	listing, err := s.store.List(ctx, versions.Filter{PendingOnly: true})
	if err != nil {
		return nil, nil, err
	}
	s.problems(listing)
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if f.Replayable() {
				content, err := s.store.Read(ctx, f)
				add(f.Location, content, err)
			}
		}
	}
	return sources, unread, nil
}

// printDiagnosis prints what is wrong with one file.
func printDiagnosis(w io.Writer, d supervisor.Diagnosis, content []byte) error {
	for _, f := range d.Errors {
		if err := printFinding(w, "error", f); err != nil {
			return err
		}
	}
	for _, f := range d.Warnings {
		if err := printFinding(w, "warning", f); err != nil {
			return err
		}
	}
	if !d.OK() {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s: ok, %s\n", d.Name, versions.Integrity(content))
	return err
}

func printFinding(w io.Writer, word string, f supervisor.Finding) error {
	lines := strings.Split(f.Detail, "\n")
	if f.Detail == "" {
		lines = []string{strings.ReplaceAll(f.Error(), "\n", "; ")}
		for _, hint := range hints(f.Failure) {
			lines = append(lines, "  hint: "+hint)
		}
	}
	for i, line := range lines {
		lines[i] = console.Clean(line)
	}
	_, err := fmt.Fprintf(w, "%s: %s\n", word, strings.Join(lines, "\n"))
	return err
}
