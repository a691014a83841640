package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

type checkOptions struct {
	commonOptions
	Output string
}

func (o *checkOptions) flags() []cli.Flag {
	return append([]cli.Flag{
		outputFlag(&o.Output, "text, json, sarif or github"),
	}, o.commonOptions.flags()...)
}

func (o *checkOptions) check() error {
	return errors.Join(o.commonOptions.check(), oneOf("output", o.Output, "text", "json", "sarif", "github"))
}

func checkCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "check-rollback",
		Usage:     "find mistakes in version files and scenario scripts",
		UsageText: "ebb check-rollback [-o text|json|sarif|github] [FILE|DIRECTORY...]",
		Description: `
Checks version files: that they load and are complete, that each function they call
exists and gets arguments that it has, that each field of the content exists, that no
name is unused, and that a replay would accept their owner and mode. Without operands
it checks all pending files. It needs no cluster and calls no function of a file.

FILE may also be a scenario script, which declares scenario = Scenario(...). It is
checked together with what it loads. Of a directory, all files *.star in it and below
it are checked, but for directories named lib, whose files are loaded by others.
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
	sources, err := s.sources(ctx, &o.commonOptions)
	if err != nil {
		return err
	}
	v, err := s.supervise(ctx, &o.commonOptions, s.settings(&o.commonOptions, timeOptions{}))
	if err != nil {
		return err
	}
	defer v.stop()
	var readable []supervisor.Source
	for _, source := range sources {
		if source.Content != nil {
			readable = append(readable, source.Source)
		}
	}
	found, err := v.Check(v.ctx, readable)
	if err == nil && len(found) < len(readable) {
		err = fmt.Errorf("%d of %d files were checked", len(found), len(readable))
	}
	if err != nil {
		return err
	}
	var all []checked
	bad := false
	for _, source := range sources {
		c := checked{source, supervisor.Diagnosis{Name: source.Name}}
		if source.Content != nil {
			c.Diagnosis, found = found[0], found[1:]
		}
		all = append(all, c)
		bad = bad || !c.ok()
	}
	if err := s.printChecked(s.stdout, all, o.Output); err != nil {
		return err
	}
	if bad {
		return outcomeError(exitFailed)
	}
	return nil
}

// A source is a text to check.
type source struct {
	supervisor.Source         // without Content if it can't be read
	refused           []error // why a replay, or a run of a script, would not take it
	stored            bool    // it is a pending file of a store
}

// sources reads the texts to check: the operands, or all pending files.
func (s *setup) sources(ctx context.Context, o *commonOptions) ([]source, error) {
	var sources []source
	for _, operand := range o.operands {
		if s.store.settings.Kind == config.StoreCluster || strings.HasPrefix(operand, clusterstore.Scheme) {
			store, f, err := s.locate(ctx, o, operand)
			if err != nil {
				return nil, err
			}
			content, err := store.Read(ctx, f)
			sources = append(sources, newSource(f.Location, content, err))
			continue
		}
		files, err := starFiles(operand)
		if err != nil {
			return nil, &usageError{err: err}
		}
		for _, file := range files {
			sources = append(sources, readSource(ctx, s.caller, file, o.trust(s.DirectoryTrust)))
		}
	}
	if len(o.operands) > 0 {
		return sources, nil
	}
	listing, err := s.store.List(ctx, versions.Filter{PendingOnly: true})
	if err != nil {
		return nil, err
	}
	s.problems(problemsOf(listing))
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if f.Replayable() {
				content, err := s.store.Read(ctx, f)
				x := newSource(f.Location, content, err)
				x.stored = true
				sources = append(sources, x)
			}
		}
	}
	return sources, nil
}

// starFiles returns the files that an operand stands for: the file itself, or the files of a
// directory.
func starFiles(operand string) ([]string, error) {
	if info, err := os.Stat(operand); err != nil || !info.IsDir() {
		return []string{operand}, nil // if anything is wrong with it, reading it says so
	}
	var files []string
	err := filepath.WalkDir(operand, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case path != operand && d.IsDir() && (name == "lib" || strings.HasPrefix(name, ".")):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".star") && !strings.HasPrefix(name, "."):
			files = append(files, path)
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("directory %q: got no file *.star, want some to check", operand)
	}
	return files, err
}

func newSource(name string, content []byte, errs ...error) source {
	// Cleaned before it becomes part of lines: a name with a line break would begin a line of its
	// own.
	x := source{Source: supervisor.Source{Name: console.Clean(name), Content: content}}
	for _, err := range errs {
		if err != nil {
			x.refused = append(x.refused, err)
		}
	}
	return x
}

var declaresScenario = lazyregexp.New(`(?m)^scenario\s*=\s*Scenario\(`)

// readSource reads a file that the user names. What a replay or a run would refuse, it refuses for
// the same reason.
func readSource(ctx context.Context, by *caller, path string, trust versions.Trust) source {
	content, err := schema.ReadFile(path)
	if err != nil {
		return newSource(path, nil, &usageError{err: err, hints: []string{by.hintList()}})
	}
	if declaresScenario.Match(content) {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return newSource(path, nil, err)
		}
		x := newSource(path, content, refusedScripts(absolute)...)
		x.Script = absolute
		return x
	}
	// A file that is not yet in a versions directory must still be acceptable in one.
	store, f, err := versions.Locate(path, versions.WithTrust(trust))
	var insecure *versions.InsecureError
	switch {
	case err == nil:
		_, err = store.Read(ctx, f)
	case !errors.As(err, &insecure):
		err = versions.CheckFile(path)
	}
	x := newSource(path, content, err)
	x.stored = f.Replayable()
	return x
}

// refusedScripts returns what a run would refuse about a scenario script and the files beside it
// that it can load.
func refusedScripts(path string) []error {
	files := versions.SafeFS(filepath.Dir(path), schema.MaxSize)
	libraries, err := fs.Glob(files, "lib/*.star")
	errs := []error{err}
	for _, name := range append([]string{filepath.Base(path)}, libraries...) {
		if _, err := fs.ReadFile(files, name); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// printDiagnosis prints what is wrong with one file.
func (c *caller) printDiagnosis(w io.Writer, x source, d supervisor.Diagnosis) error {
	for _, err := range x.refused {
		if err := c.printFinding(w, "error", supervisor.Finding{Failure: runner.FailureOf(err)}); err != nil {
			return err
		}
	}
	for _, f := range d.Errors {
		if err := c.printFinding(w, "error", f); err != nil {
			return err
		}
	}
	for _, f := range d.Warnings {
		if err := c.printFinding(w, "warning", f); err != nil {
			return err
		}
	}
	if !d.OK() && x.stored && len(x.refused) == 0 {
		_, err := fmt.Fprintf(w, "  hint: %s\n", c.fix(x.Name))
		return err
	}
	if !d.OK() || len(x.refused) > 0 {
		return nil
	}
	what := string(versions.Integrity(x.Content))
	if x.Script != "" {
		what = "a scenario script"
	}
	_, err := fmt.Fprintf(w, "%s: ok, %s\n", d.Name, what)
	return err
}

func (c *caller) printFinding(w io.Writer, word string, f supervisor.Finding) error {
	_, err := fmt.Fprintf(w, "%s: %s\n", word, c.findingText(f))
	return err
}

// findingText formats a finding on several lines, with the source line and hints.
func (c *caller) findingText(f supervisor.Finding) string {
	lines := strings.Split(f.Detail, "\n")
	if f.Detail == "" {
		lines = []string{strings.ReplaceAll(f.Error(), "\n", "; ")}
		for _, hint := range c.hints(f.Failure) {
			lines = append(lines, "  hint: "+hint)
		}
	}
	for i, line := range lines {
		lines[i] = console.Clean(line)
	}
	return strings.Join(lines, "\n")
}
