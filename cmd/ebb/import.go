package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/internal/krkn"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

// importScript is the built-in script that can undo what Krkn left.
const importScript = "krkn/rollbacks.star"

type importOptions struct {
	commonOptions
	DryRun bool
	Force  bool
}

func (o *importOptions) flags() []cli.Flag {
	return append([]cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Destination: &o.DryRun, Usage: "print the version files, write none"},
		&cli.BoolFlag{Name: "force", Destination: &o.Force, Usage: "import files whose code is not known, by the name of their function, and what Krkn would have named otherwise"},
	}, o.commonOptions.flags()...)
}

func importCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "import-rollback",
		Usage:     "convert Krkn's Python version files",
		UsageText: "ebb import-rollback [-c FILE] [--dry-run] [--force] [DIR|FILE.py …]",
		Description: `
Reads version files that Krkn has left (.py), and writes F.star for each F.py. F.py is
kept as F.py.imported. No Python is run: ebb reads what a file undoes from its
RollbackContent(…), which has to be made of literals, and from the name of its
function. It refuses a file whose code is not that of a known Krkn.

DIR is a versions directory or one of a run in it. Without operands it is the one of
the configuration. No cluster is needed.
` + exitHelp(helpDone, helpFailed, helpRefused, helpUsage),
	}, runImport)
}

func runImport(ctx context.Context, o importOptions) error {
	s, files, err := o.files(ctx)
	if err != nil {
		return err
	}
	refused, elsewhere := 0, map[string]bool{}
	p := &printer{w: s.stdout}
	for _, f := range files {
		err := s.importFile(ctx, f, o, p)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			refused++
			s.log.Error(fmt.Sprintf("%s: %s", f.Location, console.Clean(err.Error())))
			for _, hint := range append(s.hints(err), s.importHints(err, f.Location)...) {
				s.log.Info("hint: " + console.Clean(hint))
			}
		case len(o.operands) > 0 && o.Config == "" || f.store.Location() != s.store.Location():
			elsewhere[f.store.Location()] = true
		}
	}
	switch {
	case refused > 0:
		s.log.Error(fmt.Sprintf("%d of %d file(s) not imported", refused, len(files)))
		if p.err != nil {
			s.log.Error(p.failed().Error())
		}
		return outcomeError(exitRefused)
	case len(files) == 0:
		s.log.Info("Nothing to do: no pending version files of Krkn's")
	case o.DryRun:
	case len(elsewhere) > 0:
		s.log.Info(fmt.Sprintf("hint: to replay them: %s, or %s with a configuration whose kraken.rollback_versions_directory is that directory", s.next("exec", "FILE"), s.bare("execute-rollback")))
	default:
		s.log.Info("hint: to replay them: " + s.next("execute-rollback"))
	}
	return p.failed()
}

// files finds the files that the operands name.
func (o *importOptions) files(ctx context.Context) (*setup, []storedFile, error) {
	if len(o.operands) == 0 {
		s, err := load(&o.commonOptions, o.readRollback)
		if err != nil {
			return nil, nil, err
		}
		files, err := foreignFiles(ctx, s.store, "")
		return s, files, err
	}
	s, err := load(&o.commonOptions, o.readIfNamed)
	if err != nil {
		return nil, nil, err
	}
	var files []storedFile
	for _, operand := range o.operands {
		found, err := o.operand(ctx, s, operand)
		if err != nil {
			return nil, nil, err
		}
		files = append(files, found...)
	}
	return s, files, nil
}

// operand finds the files that one operand names.
func (o *importOptions) operand(ctx context.Context, s *setup, operand string) ([]storedFile, error) {
	trust := o.trust(versions.TrustAuto)
	info, err := os.Stat(operand)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("got %q, want a directory, or a version file of Krkn's (.py): %w", operand, err)}
	}
	if !info.IsDir() && !strings.Contains(operand, ".py") {
		return nil, &usageError{err: fmt.Errorf("got %q, want a directory, or a version file of Krkn's (.py)", operand)}
	}
	if !info.IsDir() {
		store, file, err := s.locate(ctx, &o.commonOptions, operand)
		if err != nil {
			return nil, err
		}
		if file.Kind != versions.KindForeign || file.State != versions.Pending {
			return nil, &usageError{err: fmt.Errorf("%q is no pending version file of Krkn's (.py)", operand)}
		}
		return []storedFile{{file, store}}, nil
	}
	path, err := filepath.Abs(operand)
	if err != nil {
		return nil, &usageError{err: err}
	}
	execution := ""
	if versions.IsExecutionID(filepath.Base(path)) {
		path, execution = filepath.Dir(path), filepath.Base(path)
	}
	store, err := versions.NewDir(path, versions.WithTrust(trust))
	if err != nil {
		return nil, &usageError{err: err}
	}
	return foreignFiles(ctx, store, execution)
}

// foreignFiles lists Krkn's pending files of a store, or of one of its executions.
func foreignFiles(ctx context.Context, store versions.Store, execution string) ([]storedFile, error) {
	listing, err := store.List(ctx, versions.Filter{PendingOnly: true})
	if err != nil {
		return nil, err
	}
	var files []storedFile
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if f.Kind == versions.KindForeign && (execution == "" || f.Execution == execution) {
				files = append(files, storedFile{f, store})
			}
		}
	}
	return files, nil
}

// importFile imports one file under its execution's lock.
func (s *setup) importFile(ctx context.Context, f storedFile, o importOptions, p *printer) (err error) {
	x, err := f.store.Open(ctx, f.Execution)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	python, err := x.Read(ctx, f.File)
	if err != nil {
		return err
	}
	rollback, err := krkn.Parse(python)
	if err != nil {
		return &foreignError{err: err}
	}
	if rollback.ScenarioType != f.ScenarioType {
		return &foreignError{err: fmt.Errorf("its function %s is of %s, and its name is of %s", rollback.Callable, rollback.ScenarioType, f.ScenarioType)}
	}
	if rollback.Doubt != nil {
		if !o.Force {
			return &foreignError{err: rollback.Doubt, doubtful: true}
		}
		s.log.Warn(fmt.Sprintf("%s: %s: imported all the same", f.Location, console.Clean(rollback.Doubt.Error())))
	}
	r, err := runner.New(f.store, runner.Options{Log: s.log, Version: version})
	if err != nil {
		return err
	}
	content, err := r.Translate(ctx, scripts.FS, importScript, runner.Foreign{
		File: f.File, RunUUID: x.RunUUID(), Callable: rollback.Callable, Fields: rollback.Fields,
	})
	if err != nil {
		return err
	}
	if o.DryRun {
		p.line("%s", strings.TrimSuffix(string(content), "\n"))
		return nil
	}
	ours, err := r.Import(context.WithoutCancel(ctx), x, f.File, content)
	if err != nil {
		return err
	}
	p.done = "imported"
	p.line("%s: imported as %s", console.Clean(f.Location), console.Clean(ours.Name))
	return nil
}

// foreignError says why a file of Krkn's is not imported.
type foreignError struct {
	err      error
	doubtful bool // a person may decide to import it all the same
}

func (e *foreignError) Error() string { return "not imported: " + e.err.Error() }
func (e *foreignError) Unwrap() error { return e.err }

// importHints say what to do about a file that was not imported.
func (c *caller) importHints(err error, location string) []string {
	var foreign *foreignError
	switch {
	case !errors.As(err, &foreign) && errors.Is(err, fs.ErrNotExist):
		return []string{"it was renamed meanwhile: run this command again"}
	case foreign == nil:
		return nil
	case foreign.doubtful:
		return []string{"look at it, then: " + c.next("import-rollback", "--force", location)}
	}
	return []string{"undo it by hand, then: " + c.next("mark-rollback", "--reason", "TEXT", location)}
}
