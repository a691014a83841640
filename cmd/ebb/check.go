package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/schema"
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
	s.limitMemory(func() {})
	r, err := s.runner(&o.commonOptions, timeOptions{}, false)
	if err != nil {
		return err
	}
	bad := 0
	check := func(name string, content []byte, err error) error {
		ok, perr := s.diagnose(ctx, r, name, content, err)
		if !ok {
			bad++
		}
		return perr
	}
	for _, file := range o.operands {
		content, err := schema.ReadFile(file)
		if err := check(file, content, err); err != nil {
			return err
		}
	}
	if len(o.operands) == 0 {
		listing, err := s.store.List(ctx, versions.Filter{PendingOnly: true})
		if err != nil {
			return err
		}
		s.problems(listing)
		for _, x := range listing.Executions {
			for _, f := range x.Files {
				if !f.Replayable() {
					continue
				}
				content, err := s.store.Read(ctx, f)
				if err := check(f.Location, content, err); err != nil {
					return err
				}
			}
		}
	}
	if bad > 0 {
		return outcomeError(exitFailed)
	}
	return nil
}

// diagnose prints what is wrong with one file.
func (s *setup) diagnose(ctx context.Context, r *runner.Runner, name string, content []byte, err error) (ok bool, printErr error) {
	var errs, warnings []error
	// Before it becomes part of lines: a name with a line end would begin one of its own.
	name = console.Clean(name)
	if err != nil {
		errs = []error{err}
	} else {
		errs, warnings = r.Diagnose(ctx, name, content)
	}
	print := func(word string, err error) {
		lines := []string{strings.ReplaceAll(err.Error(), "\n", "; ")}
		var detailed *engine.Error
		if errors.As(err, &detailed) {
			lines = strings.Split(detailed.Detail(), "\n")
		}
		for _, hint := range hints(err) {
			if detailed == nil {
				lines = append(lines, "  hint: "+hint)
			}
		}
		for i, line := range lines {
			lines[i] = console.Clean(line)
		}
		if _, werr := fmt.Fprintf(s.stdout, "%s: %s\n", word, strings.Join(lines, "\n")); werr != nil {
			printErr = werr
		}
	}
	for _, err := range errs {
		print("error", err)
	}
	for _, err := range warnings {
		print("warning", err)
	}
	if len(errs) == 0 {
		if _, err := fmt.Fprintf(s.stdout, "%s: ok, %s\n", name, versions.Integrity(content)); err != nil {
			printErr = err
		}
	}
	return len(errs) == 0, printErr
}
