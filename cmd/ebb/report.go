package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/htmlreport"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// reporter collects the contents of a report. A nil reporter collects nothing.
type reporter struct {
	*caller
	dir   string
	title string
	began time.Time
	facts []htmlreport.Fact

	mu       sync.Mutex
	finished map[string]time.Time // when the replay of a file ended, by the file's key
	run      *runner.RunReport
	replay   *runner.Report
	document func(outcome error) *runDocument // makes the document of a run; nil for a replay
}

// reported runs a command that writes a report into dir. If dir is "", there is no report.
func reported(o *commonOptions, dir, title string, command func(*reporter) error) error {
	if dir == "" {
		return command(nil)
	}
	// Before anything else: it is too late to learn afterwards that the report can't be written.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &usageError{err: fmt.Errorf("--report: %w", err)}
	}
	c, err := newCapture(dir)
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	r := &reporter{caller: o.caller, dir: dir, title: title, began: time.Now(), finished: map[string]time.Time{}}
	r.fact("by", whoami())
	r.fact("ebb", version)
	o.logCopy = c.path
	err = command(r)
	o.logCopy = "" // what is logged from here on is not in the report
	log, logErr := c.end()
	if writeErr := errors.Join(logErr, r.write(log, err)); writeErr != nil {
		o.report(o.stderr, fmt.Errorf("the report was not written: %w", writeErr))
		if err == nil {
			err = outcomeError(exitFailed)
		}
	} else if _, sayErr := fmt.Fprintf(o.stderr, "report: %s\n", filepath.Join(dir, "report.html")); sayErr != nil {
		return errors.Join(err, sayErr)
	}
	if log.lost > 0 {
		return errors.Join(err, warnLost(o, log.lost))
	}
	return err
}

// warnLost logs that the copy of the log in the report is incomplete.
func warnLost(o *commonOptions, lost int64) error {
	s, err := newSetup(o)
	if err == nil {
		s.log.Warn(fmt.Sprintf("the log in the report is incomplete: %d line(s) could not be written to it", lost))
	}
	return err
}

func whoami() string {
	name := fmt.Sprint(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// fact adds a line to the top of the report.
func (r *reporter) fact(name, value string) {
	if r != nil && value != "" {
		r.facts = append(r.facts, htmlreport.Fact{Name: name, Value: value})
	}
}

// fileFinished is called for each file that was replayed.
func (r *reporter) fileFinished(x runner.Result) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finished[x.File.Key()] = time.Now()
}

// ran and replayed take the results. Both may be nil.
func (r *reporter) ran(report *runner.RunReport) {
	if r != nil {
		r.run = report
	}
}

func (r *reporter) replayed(report *runner.Report) {
	if r != nil {
		r.replay = report
	}
}

// write writes report.html, and report.json for programs. For a run, it also writes junit.xml.
func (r *reporter) write(log capturedLog, outcome error) error {
	page := htmlreport.Report{Title: r.title, Began: r.began, Ended: time.Now(), Facts: r.facts, Log: log.lines, LogCut: log.cut, LogLost: log.lost}
	switch {
	case r.run != nil:
		page.Facts = append([]htmlreport.Fact{{Name: "run", Value: r.run.UUID}}, page.Facts...)
		page.State, page.Verdict = runVerdict(r.run)
		for _, x := range r.run.Scenarios {
			page.Scenarios = append(page.Scenarios, r.scenarioOf(x))
		}
	case r.replay != nil:
		page.State, page.Verdict = replayVerdict(r.replay)
		for _, x := range r.replay.Results {
			f := r.fileOf(x)
			f.Ended = r.finished[x.File.Key()]
			page.Files = append(page.Files, f)
		}
	default:
		page.State, page.Verdict = htmlreport.Bad, "Nothing was done"
	}
	var exit outcomeError
	if outcome != nil && !errors.As(outcome, &exit) {
		page.Verdict += ": " + outcome.Error()
	}
	return errors.Join(
		writeFile(filepath.Join(r.dir, "report.html"), func(w io.Writer) error { return htmlreport.Write(w, page) }),
		r.writeDocument(outcome),
	)
}

// writeDocument writes the same document as -o json.
func (r *reporter) writeDocument(outcome error) error {
	path := filepath.Join(r.dir, "report.json")
	if r.document == nil {
		d := resultsDocument{head: head{documentVersion, "results"}, Results: []jsonResult{}}
		if r.replay != nil {
			d.Interrupted, d.Results = r.replay.Interrupted, r.resultsOf(r.replay.Results)
		}
		return writeFile(path, func(w io.Writer) error { return writeJSON(w, d) })
	}
	d := r.document(outcome)
	return errors.Join(
		writeFile(path, func(w io.Writer) error { return writeJSON(w, d) }),
		writeFile(filepath.Join(r.dir, "junit.xml"), func(w io.Writer) error {
			text, err := junitOf(d, "", "")
			if err == nil {
				_, err = w.Write(text)
			}
			return err
		}),
	)
}

// writeFile replaces a file in one step: a reader sees all of the old or all of the new content.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

func runVerdict(r *runner.RunReport) (htmlreport.State, string) {
	switch n := len(r.Scenarios); {
	case r.Pending() > 0:
		return htmlreport.Bad, fmt.Sprintf("%s not restored", counted(r.Pending(), "version file"))
	case r.Interrupted:
		return htmlreport.Warn, "Interrupted; everything is restored"
	case r.Failed() > 0:
		return htmlreport.Bad, fmt.Sprintf("%d of %s failed; everything is restored", r.Failed(), counted(n, "scenario"))
	default:
		return htmlreport.Good, fmt.Sprintf("%s passed, everything is restored", counted(n, "scenario"))
	}
}

func replayVerdict(r *runner.Report) (htmlreport.State, string) {
	left := r.Pending() + r.Refused()
	all := counted(len(r.Results), "version file")
	switch {
	case left > 0 && r.Interrupted:
		return htmlreport.Bad, fmt.Sprintf("Interrupted; %d of %s not restored", left, all)
	case left > 0:
		return htmlreport.Bad, fmt.Sprintf("%d of %s not restored", left, all)
	case r.Interrupted:
		return htmlreport.Warn, "Interrupted before all was tried"
	case planned(r):
		return htmlreport.Warn, "A plan for " + all + "; nothing was changed"
	}
	return htmlreport.Good, all + " restored"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (c *caller) scenarioOf(x runner.ScenarioResult) htmlreport.Scenario {
	s := htmlreport.Scenario{
		Name: x.Scenario.Path, Type: x.Scenario.Type, Outcome: "passed", State: htmlreport.Good,
		Began: x.Began, Ended: x.Began.Add(x.Took), Pending: x.Pending,
	}
	if x.Err != nil {
		s.Outcome, s.State, s.Error, s.Hints = "failed", htmlreport.Bad, x.Err.Error(), c.hints(x.Err)
	}
	if runner.KindOf(x.Err) == runner.KindInterrupted {
		s.Outcome, s.State = "interrupted", htmlreport.Warn
	}
	if one := (runner.RunReport{Scenarios: []runner.ScenarioResult{x}}); one.Pending() > 0 {
		s.Outcome, s.State = "not restored", htmlreport.Bad
	}
	for _, e := range x.Effects {
		effect := htmlreport.Effect{Name: string(e.State), State: htmlreport.Bad, Hit: e.Hit, From: e.From, Until: e.Until, Why: e.Why}
		switch e.State {
		case builtins.InForce:
			effect.State = htmlreport.Good
		case builtins.NotObserved:
			effect.State = htmlreport.Warn
		}
		s.Effects = append(s.Effects, effect)
	}
	for _, u := range x.Results {
		s.Undo = append(s.Undo, c.fileOf(u))
	}
	return s
}

// reportedName returns the name of a file for the page, which also shows its whole path.
func reportedName(f versions.File) string {
	if f.ScenarioType == "" {
		return filepath.Base(f.Location)
	}
	return strings.TrimSuffix(shortName(f), ".executed")
}

func (c *caller) fileOf(x runner.Result) htmlreport.File {
	f := htmlreport.File{
		Name: reportedName(x.File), Location: x.File.Location, Outcome: string(x.Outcome), State: htmlreport.Warn,
		Conflict: x.Outcome == runner.Conflict, Reason: x.Reason(), Hints: c.resultHints(x), Actions: x.Actions, Took: x.Took,
		Verified: x.Outcome == runner.Restored || x.Outcome == runner.AlreadyRestored,
	}
	switch {
	case f.Verified:
		f.State = htmlreport.Good
	case x.Outcome == runner.Failed, x.Outcome == runner.Conflict, x.Outcome == runner.StillPending:
		f.State = htmlreport.Bad
	}
	return f
}
