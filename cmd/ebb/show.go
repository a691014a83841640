package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

type showOptions struct {
	commonOptions
	Output string
}

func (o *showOptions) flags() []cli.Flag {
	return append([]cli.Flag{
		outputFlag(&o.Output, "text or json"),
	}, o.commonOptions.flags()...)
}

func (o *showOptions) check() error {
	return errors.Join(o.oneFile("show-rollback"), o.commonOptions.check(), oneOf("output", o.Output, "text", "json"))
}

func showCommand() *cli.Command {
	return command(&cli.Command{
		Name:      "show-rollback",
		Usage:     "show what a version file would restore",
		UsageText: "ebb show-rollback [-o text|json] FILE",
		Description: `
Shows what a version file undoes and how, who wrote it and when, what was done with it
since, and what a person has changed in it. It runs none of the file's code and needs
no cluster.
` + exitHelp(helpDone, helpFailed, helpRefused, helpUsage),
	}, runShow)
}

func runShow(ctx context.Context, o showOptions) error {
	o.force = true // nothing of the file is run: the user looks whether it can be trusted
	s, err := load(&o.commonOptions, o.readIfNamed)
	if err != nil {
		return err
	}
	store, file, err := s.locate(ctx, &o.commonOptions, o.operands[0])
	if err != nil {
		return err
	}
	shown, err := lookAt(ctx, store, file)
	if err != nil {
		return err
	}
	if o.Output == "json" {
		return writeJSON(o.stdout, showDocument{head{documentVersion, "version file"}, shown})
	}
	p := &printer{w: o.stdout}
	shown.print(p, s.caller, console.Color(o.stdout) && !o.NoColor)
	return p.err
}

// shownFile is all that is known of a version file.
type shownFile struct {
	File      versions.File      `json:"file"`
	RunUUID   string             `json:"run_uuid"`
	SHA256    string             `json:"sha256"`
	Integrity versions.SealState `json:"integrity"`
	InUse     string             `json:"in_use,omitempty"` // by which process
	Scenario  string             `json:"scenario,omitempty"`
	Cluster   string             `json:"cluster_uid,omitempty"`
	Created   string             `json:"created,omitempty"`
	By        string             `json:"written_by,omitempty"`
	Undoes    []string           `json:"undoes"`
	Content   string             `json:"rollback_content,omitempty"`
	Callable  runner.Function    `json:"rollback_callable"`
	Verify    runner.Function    `json:"verify_callable"`
	Problem   string             `json:"problem,omitempty"`
	History   []versions.Entry   `json:"history"`
	Diff      []string           `json:"diff,omitempty"` // between what ebb wrote and the present content
	Unkept    bool               `json:"original_unknown,omitempty"`
}

// lookAt collects what is known about a file.
func lookAt(ctx context.Context, store versions.Store, file versions.File) (*shownFile, error) {
	content, err := store.Read(ctx, file)
	if err != nil {
		return nil, err
	}
	s := &shownFile{File: file, SHA256: versions.Digest(content), History: []versions.Entry{}, Undoes: []string{}}
	if err := store.Busy(ctx, file.Execution); err != nil {
		s.InUse = err.Error()
	}
	flushed := ""
	for entry, err := range store.Journal(ctx, versions.Filter{}) {
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, err
		case err != nil: // a crash can leave this; history reports it
			continue
		case (versions.File{Execution: entry.Execution, Name: entry.File}).Key() != file.Key():
			continue
		case entry.Event == versions.EventFlushed:
			s.By, flushed = entry.User+"@"+entry.Host, entry.SHA256
		}
		s.RunUUID = entry.RunUUID
		s.History = append(s.History, entry)
	}
	s.Integrity = versions.IntegritySince(content, flushed)
	r, err := runner.New(store, runner.Options{})
	if err != nil {
		return nil, err
	}
	s.describe(r.Describe(file.Location, content))
	return s, s.compare(ctx, store, content)
}

func (s *shownFile) describe(d runner.Description) {
	s.RunUUID = cmp.Or(s.RunUUID, d.RunUUID)
	s.Scenario, s.Cluster, s.Created, s.Content, s.Problem = d.Scenario, d.ClusterUID, d.Created, d.Content, d.Problem
	s.Callable, s.Verify = d.Callable, d.Verify
	for _, ref := range d.Undoes {
		s.Undoes = append(s.Undoes, ref.Text())
	}
}

// compare finds out what a user has changed in the file.
func (s *shownFile) compare(ctx context.Context, store versions.Store, content []byte) error {
	original, err := store.Original(ctx, s.File)
	if errors.Is(err, fs.ErrNotExist) {
		s.Unkept = s.Integrity == versions.Edited
		return nil
	}
	if err != nil {
		return err
	}
	s.Diff, err = textDiff(string(original), string(content))
	return err
}

// printer prints lines, and remembers the first error.
type printer struct {
	w    io.Writer
	done string // what was done before the results are printed, such as "marked"; "" for nothing
	err  error
}

// failed says why something was not printed. The work is done by then, and a user who sees no
// results has to be told so.
func (p *printer) failed() error {
	if p.err != nil && p.done != "" {
		return fmt.Errorf("it was %s, but the results can't be printed: %w", p.done, p.err)
	}
	return p.err
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, strings.TrimRight(fmt.Sprintf(format, args...), " "))
	}
}

// text prints text from outside, indented, with each line cleaned.
func (p *printer) text(indent, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		p.line("%s%s", indent, console.Clean(line))
	}
}

func (s *shownFile) print(p *printer, by *caller, color bool) {
	p.line("%s", console.Clean(s.File.Location))
	fact := func(name, value string) {
		if value != "" {
			p.line("  %-9s %s", name, console.Clean(value))
		}
	}
	state := string(s.File.State)
	if s.InUse != "" {
		state += ", " + s.InUse
	}
	fact("state", state)
	fact("scenario", strings.TrimSpace(s.File.ScenarioType+" "+s.Scenario))
	fact("run", s.RunUUID)
	written := s.File.Created().Local().Format("2006-01-02 15:04:05") + " (" + age(s.File.Created()) + " ago)"
	if s.By != "" {
		written += " by " + s.By
	}
	fact("written", written)
	fact("cluster", s.Cluster)
	fact("seal", sealText(s.Integrity))
	fact("sha256", s.SHA256)
	fact("problem", s.Problem)
	p.line("\nIt undoes what was done to:")
	for _, ref := range s.Undoes {
		p.text("  ", ref)
	}
	if len(s.Undoes) == 0 {
		p.line("  (the file does not say)")
	}
	printFunction(p, "\nThe undo", s.Callable, "(the file has none)")
	printFunction(p, "\nThe verify", s.Verify, "(the file has none: the result is not checked)")
	if s.Content != "" {
		p.line("\nWhat it restores:")
		p.text("  ", s.Content)
	}
	s.printHistory(p)
	s.printEdit(p, color)
	p.line("\nNext:")
	for _, next := range s.next(by) {
		p.line("  %s", console.Clean(next))
	}
}

func printFunction(p *printer, title string, f runner.Function, none string) {
	if f.Name == "" {
		p.line("%s:\n  %s", title, none)
		return
	}
	p.line("%s, %s:", title, console.Clean(f.Name))
	if f.Doc != "" {
		p.text("  ", f.Doc)
	}
	if len(f.Calls) > 0 {
		p.text("  ", "calls "+strings.Join(f.Calls, ", "))
	}
}

func (s *shownFile) printHistory(p *printer) {
	p.line("\nIts history:")
	if len(s.History) == 0 {
		p.line("  (the journal says nothing of it)")
	}
	for _, e := range s.History {
		line := fmt.Sprintf("%s %s", e.Time.Local().Format("2006-01-02 15:04:05"), e.Event)
		if e.Outcome != "" {
			line += ": " + e.Outcome
		}
		line += fmt.Sprintf(", %s@%s", e.User, e.Host)
		p.text("  ", line)
		if e.Message != "" {
			p.text("    ", strings.ReplaceAll(e.Message, s.File.Location+":", "line "))
		}
	}
}

func (s *shownFile) printEdit(p *printer, color bool) {
	switch {
	case s.Unkept:
		p.line("\nIt was edited. What ebb wrote was not kept: only edit-rollback keeps it.")
	case len(s.Diff) > 0:
		p.line("\nWhat was edited, from the first text to this one:")
		for _, line := range s.Diff {
			p.line("  %s", paint(console.Clean(line), color))
		}
	}
}

// next returns the commands that a reader is likely to want now.
func (s *shownFile) next(by *caller) []string {
	file := s.File.Location
	switch {
	case s.File.Kind == versions.KindForeign:
		return []string{by.next("mark-rollback", "--reason", "TEXT", file)}
	case s.InUse != "":
		return []string{by.next("list-rollback", "-o", "wide")}
	case s.File.State == versions.Executed:
		return []string{by.next("verify-rollback", file)}
	}
	if s.lastOutcome() == string(runner.Conflict) {
		return []string{
			by.next("execute-rollback", "--dry-run", "--force-conflict", file),
			by.next("mark-rollback", "--reason", "TEXT", file),
			by.next("edit-rollback", file),
		}
	}
	next := []string{by.next("exec", "--dry-run", file), by.next("edit-rollback", file), by.next("exec", file)}
	if s.Problem != "" {
		next = slices.Concat([]string{by.next("check-rollback", file)}, next)
	}
	return next
}

// lastOutcome returns the outcome of the last attempt. It is "" if the file was never tried, or was
// edited since.
func (s *shownFile) lastOutcome() string {
	last := ""
	for _, e := range s.History {
		switch e.Event {
		case versions.EventOutcome:
			last = e.Outcome
		case versions.EventEdited:
			last = ""
		}
	}
	return last
}

func sealText(s versions.SealState) string {
	switch s {
	case versions.Written:
		return "as ebb wrote it"
	case versions.Edited:
		return "edited by hand since ebb wrote it"
	case versions.Replaced:
		return "replaced: not the file that ebb wrote under this name"
	}
	return "none: written by hand"
}

// age returns how long ago something was, in the largest unit that fits.
func age(t time.Time) string {
	switch d := time.Since(t); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// quoted returns a word quoted for a shell.
func quoted(word string) string { return durable.Quote(word) }
