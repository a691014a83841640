package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/runner"
)

// reportOptions say where the result of a run is written, besides the log.
type reportOptions struct {
	Output       string // text, json or the path of a file
	JUnit        string
	TestCase     string // Krkn's --junit-testcase
	TestCasePath string
	TestVersion  string
}

func (o *reportOptions) flags() []cli.Flag {
	return []cli.Flag{
		outputFlag(&o.Output, "text, json, or a `FILE` for the report in JSON"),
		&cli.StringFlag{Name: "junit", Destination: &o.JUnit, Usage: "write JUnit's XML to `FILE`, a test case for each scenario"},
		&cli.StringFlag{Name: "junit-testcase", Destination: &o.TestCase, Usage: "one test case for the whole run, with this `DESCRIPTION`, as Krkn"},
		&cli.StringFlag{Name: "junit-testcase-path", Destination: &o.TestCasePath, Usage: "write JUnit's XML to a new file in `DIR`, as Krkn"},
		&cli.StringFlag{Name: "junit-testcase-version", Destination: &o.TestVersion, Usage: "the property TestVersion of JUnit's XML, as Krkn"},
	}
}

func (o *reportOptions) check() error {
	var errs []error
	if o.Output != "text" && o.Output != "json" && !strings.ContainsAny(o.Output, "./") {
		errs = append(errs, fmt.Errorf("--output: got %q, want text, json or a file whose name has a dot or a slash", o.Output))
	}
	if o.TestCase != "" && o.JUnit == "" && o.TestCasePath == "" {
		errs = append(errs, errors.New("--junit-testcase: got it without --junit-testcase-path or --junit"))
	}
	if o.TestCasePath != "" && o.TestCase == "" {
		errs = append(errs, errors.New("--junit-testcase-path: got it without --junit-testcase"))
	}
	if o.TestCasePath != "" {
		if info, err := os.Stat(o.TestCasePath); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("--junit-testcase-path: got %q, want an existing directory", o.TestCasePath))
		}
	}
	for _, file := range o.files(time.Time{}) {
		if o.TestCasePath != "" && filepath.Dir(file) == filepath.Clean(o.TestCasePath) {
			continue // reported above
		}
		if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("report %q: there is no directory %q", file, filepath.Dir(file)))
		}
	}
	return errors.Join(errs...)
}

// files returns the paths that are written at the end: the report, then JUnit's.
func (o *reportOptions) files(began time.Time) []string {
	var files []string
	if o.Output != "text" && o.Output != "json" {
		files = append(files, o.Output)
	}
	return append(files, o.junitFiles(began)...)
}

func (o *reportOptions) junitFiles(began time.Time) []string {
	var files []string
	if o.JUnit != "" {
		files = append(files, o.JUnit)
	}
	if o.TestCasePath != "" {
		files = append(files, filepath.Join(o.TestCasePath, fmt.Sprintf("junit_ebb_%d.xml", began.Unix())))
	}
	return files
}

// ranRun is the result of a run, as far as the run came.
type ranRun struct {
	*caller
	uuid   string
	report *runner.RunReport
}

// document makes the document of a run.
func (r *ranRun) document(config string, began time.Time, err error) *runDocument {
	d := &runDocument{
		head: head{documentVersion, "run"}, Ebb: version, RunUUID: r.uuid, Config: config,
		Began: instant(began), Ended: instant(time.Now()), ExitCode: exitCodeOf(err), Error: r.failureOf(err), Scenarios: []jsonRunFile{},
	}
	if r.report != nil {
		d.Interrupted = r.report.Interrupted
		for _, s := range r.report.Scenarios {
			d.Scenarios = append(d.Scenarios, r.runFileOf(s))
		}
	}
	return d
}

// write writes the files that the options ask for. A report that can't be written is an error of
// the run, unless the run has one of its own.
func (o *runOptions) write(d *runDocument, err error) error {
	var errs []error
	if o.Output == "json" {
		errs = append(errs, writeJSON(o.stdout, d))
	} else if o.Output != "text" {
		var text bytes.Buffer
		errs = append(errs, writeJSON(&text, d), os.WriteFile(o.Output, text.Bytes(), 0o644))
	}
	if files := o.junitFiles(time.Now()); len(files) > 0 {
		text, xmlErr := junitOf(d, o.TestCase, o.TestVersion)
		errs = append(errs, xmlErr)
		for _, file := range files {
			errs = append(errs, os.WriteFile(file, text, 0o644))
		}
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return err
	}
	failed := fmt.Errorf("the report was not written: %w", errors.Join(errs...))
	if err == nil {
		return failed
	}
	o.report(o.stderr, failed)
	return err
}
