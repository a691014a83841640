package main

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/internal/console"
)

// JUnit's XML: the parts that dashboards read.
type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Time     string     `xml:"time,attr"`
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Properties []junitProperty `xml:"properties>property,omitempty"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitProblem `xml:"failure"`
		Error   *junitProblem `xml:"error"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// junitOf returns the JUnit XML of a run. It has a test case for each scenario or, if a description
// is given, a single one for the whole run, as Krkn writes it. A scenario that failed is a failure.
// What is not restored is an error, and so is a run that did not begin.
func junitOf(d *runDocument, description, testVersion string) ([]byte, error) {
	suite := junitSuite{Name: "ebb", Timestamp: d.Began, Time: seconds(between(d.Began, d.Ended))}
	if d.RunUUID != "" {
		suite.Properties = append(suite.Properties, junitProperty{"run_uuid", d.RunUUID})
	}
	if testVersion != "" {
		suite.Properties = append(suite.Properties, junitProperty{"TestVersion", testVersion})
	}
	for _, s := range d.Scenarios {
		suite.Cases = append(suite.Cases, junitScenario(s))
	}
	switch whole := junitWhole(d, suite.Time); {
	case description != "":
		whole.Name = description
		suite.Cases = []junitCase{whole}
	case d.Error != nil || len(suite.Cases) == 0:
		suite.Cases = append(suite.Cases, whole)
	}
	for _, c := range suite.Cases {
		suite.Tests++
		if c.Failure != nil {
			suite.Failures++
		}
		if c.Error != nil {
			suite.Errors++
		}
	}
	all := junitSuites{Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Time: suite.Time, Suite: suite}
	text, err := xml.MarshalIndent(all, "", "  ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}

func seconds(n float64) string { return fmt.Sprintf("%.3f", n) }

// between returns the number of seconds between two times of a document.
func between(from, to string) float64 {
	began, err1 := time.Parse(time.RFC3339Nano, from)
	ended, err2 := time.Parse(time.RFC3339Nano, to)
	if err1 != nil || err2 != nil {
		return 0
	}
	return ended.Sub(began).Seconds()
}

func junitScenario(s jsonRunFile) junitCase {
	c := junitCase{Name: s.Type + " " + s.File, Class: s.Type, Time: seconds(s.Seconds), Out: console.Clean(strings.Join(scenarioLines(s), "; "))}
	if s.Iteration > 0 {
		c.Name += fmt.Sprintf(" (iteration %d)", s.Iteration)
	}
	if s.Error != nil {
		c.Failure = junitProblemOf(s.Error)
	}
	if s.Outcome == scenarioNotRestored {
		c.Failure = nil
		c.Error = &junitProblem{Message: "not restored", Type: scenarioNotRestored, Text: c.Out}
	}
	return c
}

func junitProblemOf(e *jsonFailure) *junitProblem {
	return &junitProblem{Message: console.Clean(e.Message), Type: string(e.Kind), Text: console.Clean(e.Message)}
}

// scenarioLines describes the result of a scenario.
func scenarioLines(s jsonRunFile) []string {
	lines := []string{s.Type + " " + s.File + ": " + s.Outcome}
	if s.Error != nil {
		lines = append(lines, s.Error.Message)
	}
	for _, e := range s.Effects {
		line := "effect: " + e.State
		if len(e.Hit) > 0 {
			line += " on " + strings.Join(e.Hit, ", ")
		}
		if e.Why != "" {
			line += ": " + e.Why
		}
		lines = append(lines, line)
	}
	for _, u := range s.Undo {
		line := "undo: " + u.File + ": " + u.Outcome
		if u.Error != "" {
			line += ": " + u.Error
		}
		lines = append(lines, line)
	}
	return lines
}

// junitWhole returns the test case of a whole run.
func junitWhole(d *runDocument, took string) junitCase {
	c := junitCase{Name: "run " + d.Config, Class: "ebb", Time: took}
	var lines, failed []string
	for _, s := range d.Scenarios {
		lines = append(lines, scenarioLines(s)...)
		if s.Outcome != scenarioPassed {
			failed = append(failed, s.Type+" "+s.File+": "+s.Outcome)
		}
	}
	c.Out = console.Clean(strings.Join(lines, "; "))
	problem := &junitProblem{Message: console.Clean(strings.Join(failed, "; ")), Type: fmt.Sprintf("exit code %d", d.ExitCode), Text: c.Out}
	if d.Error != nil {
		problem.Message, problem.Text = console.Clean(d.Error.Message), console.Clean(d.Error.Message)
	}
	switch d.ExitCode {
	case exitDone:
	case exitFailed:
		c.Failure = problem
	default:
		c.Error = problem
	}
	return c
}
