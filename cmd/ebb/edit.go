package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

type editOptions struct {
	commonOptions
	From string
}

func (o *editOptions) flags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "from", Destination: &o.From, Usage: "begin with the text of `COPY`, which an earlier edit has left"},
	}, o.commonOptions.flags()...)
}

func (o *editOptions) check() error {
	return errors.Join(o.oneFile("edit-rollback"), o.commonOptions.check())
}

func editCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "edit-rollback",
		Usage:     "edit a pending version file, and check it",
		UsageText: "ebb edit-rollback [--from COPY] FILE",
		Description: `
Opens a private copy of a pending version file in $VISUAL, $EDITOR or vi. When the
editor ends, the copy is checked as check-rollback does it, and takes the place of the
file in one step. If it has errors, edit it again: they are at its top. Until then the
file stays as it is, and can be replayed.

What ebb wrote is kept; show-rollback shows what was changed.
` + exitHelp(helpDone, exitLine{exitFailed, "not changed: given up, or the editor failed"}, helpRefused, helpUsage),
	}, runEdit)
}

func runEdit(ctx context.Context, o editOptions) error {
	o.runs = true // an edited file is signed again
	s, err := load(&o.commonOptions, o.readIfNamed)
	if err != nil {
		return err
	}
	store, file, err := s.locate(ctx, &o.commonOptions, o.operands[0])
	if err != nil {
		return err
	}
	s.store = store
	if !file.Replayable() {
		return &usageError{
			err:   fmt.Errorf("%q is no pending version file of ebb", file.Location),
			hints: []string{s.next("show-rollback", file.Location)},
		}
	}
	if err := store.Busy(ctx, file.Execution); err != nil {
		return err
	}
	e := &edit{setup: s, options: &o.commonOptions, file: file, answers: bufio.NewReader(os.Stdin)}
	if e.original, err = store.Read(ctx, file); err != nil {
		return err
	}
	begin := e.original
	if o.From != "" {
		if begin, err = schema.ReadFile(o.From); err != nil {
			return &usageError{err: fmt.Errorf("--from: %w", err), hints: []string{s.next("edit-rollback", file.Location)}}
		}
	}
	if err := e.makeCopy(begin); err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept {
			if err := os.RemoveAll(filepath.Dir(e.path)); err != nil {
				s.log.Warn(err.Error())
			}
		}
	}()
	edited, err := e.loop(ctx)
	if err == nil {
		err = e.save(ctx, edited)
	}
	var unchanged *unchangedError
	switch {
	case errors.As(err, &unchanged):
		p := &printer{w: o.stdout}
		p.line("%s: unchanged", console.Clean(file.Location))
		p.line("  an editor that ends at once has to be told to wait: EDITOR='code --wait'")
		return p.err
	case err != nil:
		kept = e.wrote()
		failed := &notEditedError{error: err, file: file.Location, hints: []string{"to edit it with another editor: VISUAL=vi " + s.next("edit-rollback", file.Location)}}
		if kept {
			failed.hints = []string{
				"your text is in " + quoted(e.path) + "; compare: diff " + quoted(file.Location) + " " + quoted(e.path),
				"to go on with it: " + s.next("edit-rollback", "--from", e.path, file.Location),
			}
		}
		return failed
	}
	return e.report()
}

// wrote reports whether the copy has text of the user's that must not be lost.
func (e *edit) wrote() bool {
	text, err := os.ReadFile(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err != nil || string(withoutErrors(text)) != string(e.original)
}

// notEditedError says why the edited text was not saved as the file.
type notEditedError struct {
	error
	file  string
	hints []string
}

func (e *notEditedError) Error() string {
	return fmt.Sprintf("%s is not changed: %v", e.file, e.error)
}
func (e *notEditedError) Unwrap() error { return e.error }

// Hints says where the text is, and how to continue.
func (e *notEditedError) Hints() []string { return e.hints }

// unchangedError means that the user changed nothing.
type unchangedError struct{}

func (*unchangedError) Error() string { return "the text is as it was" }

// edit is one editing of a version file. The file is not locked while a person edits: an undo must
// not wait for an open editor. At the end, save takes the lock and checks whether the file has
// changed meanwhile.
type edit struct {
	*setup
	options  *commonOptions
	file     versions.File
	original []byte
	path     string // path of the copy
	answers  *bufio.Reader
}

// makeCopy writes the private copy. Until save replaces the version file, a kill leaves that file
// unchanged.
func (e *edit) makeCopy(text []byte) error {
	dir, err := os.MkdirTemp("", "ebb-edit-") // private to this user
	if err != nil {
		return fmt.Errorf("no private copy: %w", err)
	}
	e.path = filepath.Join(dir, e.file.Name)
	return os.WriteFile(e.path, text, 0o600)
}

// errorMark begins the lines with errors at the top of a copy.
const errorMark = "# error found by ebb, this line goes away: "

// loop lets the user edit until the text has no errors, or until the user gives up.
func (e *edit) loop(ctx context.Context) ([]byte, error) {
	for {
		if err := runEditor(ctx, e.path); err != nil {
			return nil, err
		}
		text, err := schema.ReadFile(e.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("the editor has removed the copy that it was given, or moved it elsewhere")
		}
		if err != nil {
			return nil, fmt.Errorf("the copy can't be read: %w", err)
		}
		text = withoutErrors(text)
		if string(text) == string(e.original) {
			return nil, &unchangedError{}
		}
		d, err := e.check(ctx, text)
		if err != nil {
			return nil, err
		}
		if err := e.printDiagnosis(e.options.stderr, newSource(e.file.Name, text), d); err != nil {
			return nil, err
		}
		if d.OK() {
			return text, nil
		}
		again, err := e.ask(len(d.Errors))
		if err != nil {
			return nil, err
		}
		if !again {
			return nil, fmt.Errorf("given up: the text has %d error(s)", len(d.Errors))
		}
		if err := os.WriteFile(e.path, e.withErrors(text, d), 0o600); err != nil {
			return nil, fmt.Errorf("the errors can't be written into the copy: %w", err)
		}
	}
}

// check runs the checks of check-rollback.
func (e *edit) check(ctx context.Context, text []byte) (supervisor.Diagnosis, error) {
	none := supervisor.Diagnosis{}
	v, err := e.supervise(ctx, e.options, e.settings(e.options, timeOptions{}))
	if err != nil {
		return none, err
	}
	defer v.stop()
	found, err := v.Check(v.ctx, []supervisor.Source{{Name: e.file.Name, Content: text}})
	if err == nil && len(found) != 1 {
		err = errors.New("the check came to no end")
	}
	if err != nil {
		return none, err
	}
	return found[0], nil
}

// ask repeats the question until it gets a valid answer. The end of the input means giving up.
func (e *edit) ask(errs int) (again bool, err error) {
	for {
		if _, err := fmt.Fprintf(e.options.stderr, "%d error(s): e to edit again, q to give up: ", errs); err != nil {
			return false, err
		}
		answer, err := e.answers.ReadString('\n')
		switch strings.TrimSpace(answer) {
		case "e":
			return true, nil
		case "q":
			return false, nil
		}
		if errors.Is(err, io.EOF) {
			_, err := fmt.Fprintln(e.options.stderr)
			return false, err
		}
		if err != nil {
			return false, fmt.Errorf("the answer can't be read: %w", err)
		}
	}
}

// save replaces the version file with the text, under the lock, if the file is still the one that
// was edited. After a kill before Replace, the file is the old one. After a kill later, it is the
// new one: its seal says that it was edited, but the journal has no line about it.
func (e *edit) save(ctx context.Context, text []byte) (err error) {
	x, err := e.store.Open(ctx, e.file.Execution)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("it was removed meanwhile, with its whole execution")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	files, err := x.Files(ctx)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(files, func(f versions.File) bool { return f.Key() == e.file.Key() })
	switch {
	case at < 0:
		return errors.New("it was removed meanwhile")
	case files[at].State != versions.Pending:
		return errors.New("it was executed meanwhile")
	}
	now, err := x.Read(ctx, e.file)
	if err != nil {
		return err
	}
	if string(now) != string(e.original) {
		return errors.New("somebody else changed it meanwhile")
	}
	if e.file, err = x.Replace(ctx, e.file, text); err != nil {
		return err
	}
	entry := versions.Entry{
		Event: versions.EventEdited, RunUUID: x.RunUUID(), ScenarioType: e.file.ScenarioType,
		Execution: e.file.Execution, File: e.file.Name, SHA256: versions.Digest(text),
	}
	if err := e.store.Append(ctx, entry); err != nil {
		e.log.Warn(fmt.Sprintf("the journal was not written: %v", err))
	}
	return nil
}

// report prints the result, and what to do next.
func (e *edit) report() error {
	p := &printer{w: e.options.stdout, done: "edited"}
	p.line("%s: edited", console.Clean(e.file.Location))
	p.line("  next: %s", console.Clean(e.next("show-rollback", e.file.Location)))
	p.line("  next: %s", console.Clean(e.next("exec", "--dry-run", e.file.Location)))
	return p.failed()
}

// withErrors puts the errors at the top of a text.
func (e *edit) withErrors(text []byte, d supervisor.Diagnosis) []byte {
	var b strings.Builder
	for _, f := range d.Errors {
		for line := range strings.SplitSeq(e.findingText(f), "\n") {
			b.WriteString(errorMark + console.Clean(line) + "\n")
		}
	}
	return append([]byte(b.String()), text...)
}

// withoutErrors removes them again.
func withoutErrors(text []byte) []byte {
	var lines []string
	for line := range strings.SplitAfterSeq(string(text), "\n") {
		if !strings.HasPrefix(line, strings.TrimSpace(errorMark)) {
			lines = append(lines, line)
		}
	}
	return []byte(strings.Join(lines, ""))
}
