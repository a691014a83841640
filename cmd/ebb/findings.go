package main

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
)

// checked is a file and what is wrong with it.
type checked struct {
	source
	supervisor.Diagnosis
}

// ok reports whether a replay, or a run, would take it.
func (c checked) ok() bool { return len(c.refused) == 0 && c.Diagnosis.OK() }

// finding is one problem, for programs.
type finding struct {
	File    string      `json:"file"`
	Line    int         `json:"line,omitempty" jsonschema:"from 1 on"`
	Column  int         `json:"column,omitempty" jsonschema:"from 1 on"`
	Level   string      `json:"level" jsonschema:"error or warning"`
	Kind    runner.Kind `json:"kind,omitempty" jsonschema:"what a program decides by"`
	Message string      `json:"message"`
	Excerpt string      `json:"excerpt,omitempty" jsonschema:"the lines of the file that it is about"`
	Hints   []string    `json:"hints,omitempty" jsonschema:"what can be done about it"`
}

// findings lists all problems of a file.
func (c checked) findings(by *caller) []finding {
	var all []finding
	for _, err := range c.refused {
		all = append(all, c.finding(by, "error", runner.FailureOf(err)))
	}
	for _, f := range c.Errors {
		all = append(all, c.finding(by, "error", f.Failure))
	}
	for _, f := range c.Warnings {
		all = append(all, c.finding(by, "warning", f.Failure))
	}
	return all
}

// position matches the beginning of a message of the interpreter.
var position = lazyregexp.New(`^(.+?):(\d+):(\d+): `)

func (c checked) finding(by *caller, level string, f *runner.Failure) finding {
	x := finding{File: c.source.Name, Level: level, Kind: f.Kind, Message: f.Message, Excerpt: f.Excerpt, Hints: by.hints(f)}
	if m := position.FindStringSubmatch(f.Message); m != nil {
		line, lineErr := strconv.Atoi(m[2])
		column, columnErr := strconv.Atoi(m[3])
		if lineErr == nil && columnErr == nil {
			x.Line, x.Column, x.Message = line, column, f.Message[len(m[0]):]
			if c.Script != "" { // positions in scripts are relative to their directory
				x.File = filepath.Join(filepath.Dir(c.source.Name), m[1])
			}
		}
	}
	x.Message = strings.TrimPrefix(x.Message, c.source.Name+": ")
	return x
}

// printChecked prints the result of a check in one of the formats.
func (c *caller) printChecked(w io.Writer, all []checked, format string) error {
	switch format {
	case "json":
		return c.printFindings(w, all)
	case "sarif":
		return c.printSARIF(w, all)
	case "github":
		return c.printGitHub(w, all)
	}
	for _, x := range all {
		if err := c.printDiagnosis(w, x.source, x.Diagnosis); err != nil {
			return err
		}
	}
	return nil
}

// checkDocument is what check-rollback prints.
type checkDocument struct {
	head
	Files []checkedFile `json:"files"`
}

type checkedFile struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok" jsonschema:"a replay or a run would take it"`
	Findings []finding `json:"findings"`
}

func (c *caller) printFindings(w io.Writer, all []checked) error {
	d := checkDocument{head{documentVersion, "check"}, []checkedFile{}}
	for _, x := range all {
		f := checkedFile{File: x.source.Name, OK: x.ok(), Findings: x.findings(c)}
		if f.Findings == nil {
			f.Findings = []finding{}
		}
		d.Files = append(d.Files, f)
	}
	return writeJSON(w, d)
}

// The parts of SARIF 2.1.0 that a list of findings needs.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		Line   int `json:"startLine"`
		Column int `json:"startColumn"`
	}
)

func (c *caller) printSARIF(w io.Writer, all []checked) error {
	results := []sarifResult{}
	for _, x := range all {
		for _, f := range x.findings(c) {
			at := sarifPhysical{Artifact: sarifArtifact{uriOf(f.File)}}
			if f.Line > 0 {
				at.Region = &sarifRegion{f.Line, f.Column}
			}
			results = append(results, sarifResult{
				RuleID: cmp.Or(string(f.Kind), "file"), Level: f.Level,
				Message: sarifText{f.withHints("\n")}, Locations: []sarifLocation{{at}},
			})
		}
	}
	return writeJSON(w, sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{Tool: sarifTool{sarifDriver{"ebb", version}}, Results: results}},
	})
}

// uriOf returns a file's name as a URI, in which a space must be escaped.
func uriOf(file string) string { return (&url.URL{Path: filepath.ToSlash(file)}).String() }

func (f finding) withHints(separator string) string {
	text := f.Message
	for _, hint := range f.Hints {
		text += separator + "hint: " + hint
	}
	return text
}

// printGitHub prints the workflow commands with which GitHub shows a finding at its source line.
func (c *caller) printGitHub(w io.Writer, all []checked) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, x := range all {
		for _, f := range x.findings(c) {
			at := "file=" + property.Replace(f.File)
			if f.Line > 0 {
				at += fmt.Sprintf(",line=%d,col=%d", f.Line, f.Column)
			}
			if _, err := fmt.Fprintf(w, "::%s %s::%s\n", f.Level, console.Clean(at), console.Clean(data.Replace(f.withHints("\n")))); err != nil {
				return err
			}
		}
	}
	return nil
}
