package main

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// documentVersion is the version of the documents that -o json prints. It changes when a field is
// removed, or when its meaning changes. Adding a field does not change it. docs/json.md describes
// the documents, and docs/schema has their schemas.
const documentVersion = 1

// listVersion is the version of the list. Version 1 was one document for the whole store.
const listVersion = 2

// head is the beginning of each document.
type head struct {
	Version int    `json:"version" jsonschema:"the version of the shape: it changes when a field goes or means something else"`
	Kind    string `json:"kind" jsonschema:"what the document is"`
}

// The documents, by the command that prints them.
type (
	// listDocument is a line that list-rollback prints: an execution.
	listDocument struct {
		head
		versions.ExecutionInfo
	}
	// listProblemDocument is another line that list-rollback prints: an entry of the store that is
	// no execution.
	listProblemDocument struct {
		head
		versions.Problem
	}
	// resultsDocument is what execute-rollback, exec and verify-rollback print.
	resultsDocument struct {
		head
		Interrupted bool         `json:"interrupted" jsonschema:"a signal ended it before all was tried"`
		Results     []jsonResult `json:"results"`
	}
	// showDocument is what show-rollback prints.
	showDocument struct {
		head
		*shownFile
	}
	// historyDocument is a line of what history prints.
	historyDocument struct {
		head
		versions.Entry
	}
	// runDocument is what run prints.
	runDocument struct {
		head
		Ebb         string        `json:"ebb" jsonschema:"the release that ran"`
		RunUUID     string        `json:"run_uuid,omitempty"`
		Config      string        `json:"config"`
		Began       string        `json:"began" jsonschema:"RFC 3339 with nanoseconds, UTC"`
		Ended       string        `json:"ended" jsonschema:"RFC 3339 with nanoseconds, UTC"`
		ExitCode    int           `json:"exit_code"`
		Interrupted bool          `json:"interrupted" jsonschema:"a signal ended it before all scenarios were run"`
		Error       *jsonFailure  `json:"error,omitempty" jsonschema:"why the run did not begin, or did not end by itself"`
		Scenarios   []jsonRunFile `json:"scenarios" jsonschema:"those that were run, in their order"`
	}
)

// jsonFailure is an error.
type jsonFailure struct {
	Kind    runner.Kind `json:"kind,omitempty" jsonschema:"what a program decides by"`
	Message string      `json:"message"`
	Hints   []string    `json:"hints,omitempty" jsonschema:"what can be done about it"`
}

// jsonRunFile is the result of one scenario file.
type jsonRunFile struct {
	Type      string       `json:"type"`
	File      string       `json:"file"`
	Listed    string       `json:"listed" jsonschema:"the configuration and its line"`
	Iteration int          `json:"iteration" jsonschema:"from 0 on"`
	Outcome   string       `json:"outcome" jsonschema:"passed or failed, or not restored: then something is left to replay"`
	Error     *jsonFailure `json:"error,omitempty"`
	Began     string       `json:"began" jsonschema:"RFC 3339 with nanoseconds, UTC"`
	Ended     string       `json:"ended" jsonschema:"RFC 3339 with nanoseconds, UTC"`
	Seconds   float64      `json:"seconds"`
	Effects   []jsonEffect `json:"effects" jsonschema:"what was seen of the chaos, for each map of the scenario file"`
	Summaries []any        `json:"summaries,omitempty" jsonschema:"what the chaos has measured, such as the figures of a load: a dict or a list of them each"`
	Undo      []jsonResult `json:"undo" jsonschema:"what came of the version files"`
	Pending   []string     `json:"pending,omitempty" jsonschema:"version files that were left for a replay, since auto_rollback is off"`
}

// jsonEffect is what was observed of the chaos.
type jsonEffect struct {
	State string   `json:"state" jsonschema:"in force, no effect, ended early or not observed"`
	Hit   []string `json:"hit,omitempty" jsonschema:"what it was in force on"`
	From  string   `json:"from,omitempty" jsonschema:"when it was first seen: RFC 3339 with nanoseconds, UTC"`
	Until string   `json:"until,omitempty" jsonschema:"when it was last seen: RFC 3339 with nanoseconds, UTC"`
	Why   string   `json:"why,omitempty" jsonschema:"why it was not in force or not observed, or not until the end"`
}

// The outcomes of scenarios.
const (
	scenarioPassed      = "passed"
	scenarioFailed      = "failed"
	scenarioNotRestored = "not restored"
)

// writeJSON writes a document.
func writeJSON(w io.Writer, document any) error {
	e := json.NewEncoder(console.JSON(w))
	e.SetIndent("", "  ")
	return e.Encode(document)
}

// instant formats a time for documents; "" for none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (c *caller) failureOf(err error) *jsonFailure {
	var outcome outcomeError
	if err == nil || errors.As(err, &outcome) {
		return nil
	}
	return &jsonFailure{Kind: runner.KindOf(err), Message: err.Error(), Hints: c.hints(err)}
}

func (c *caller) resultOf(x runner.Result) jsonResult {
	r := jsonResult{
		File: x.File.Location, RunUUID: x.RunUUID, Outcome: string(x.Outcome), BlockedBy: x.BlockedBy,
		Integrity: x.Integrity, Actions: x.Actions, Changes: x.Changes, Hints: c.resultHints(x), Seconds: x.Took.Seconds(),
	}
	if x.Err != nil {
		r.Kind, r.Error = runner.KindOf(x.Err), x.Reason()
	}
	return r
}

func (c *caller) resultsOf(all []runner.Result) []jsonResult {
	results := []jsonResult{}
	for _, x := range all {
		results = append(results, c.resultOf(x))
	}
	return results
}

// runFileOf returns the result of a scenario, for a document.
func (c *caller) runFileOf(x runner.ScenarioResult) jsonRunFile {
	f := jsonRunFile{
		Type: x.Scenario.Type, File: x.Scenario.Path, Listed: x.Scenario.From, Iteration: x.Position.Iteration,
		Outcome: scenarioPassed, Error: c.failureOf(x.Err),
		Began: instant(x.Began), Ended: instant(x.Began.Add(x.Took)), Seconds: x.Took.Seconds(),
		Effects: []jsonEffect{}, Undo: c.resultsOf(x.Results), Pending: x.Pending,
	}
	for _, summary := range x.Summaries {
		f.Summaries = append(f.Summaries, summary)
	}
	for _, e := range x.Effects {
		f.Effects = append(f.Effects, jsonEffect{State: string(e.State), Hit: e.Hit, From: instant(e.From), Until: instant(e.Until), Why: e.Why})
	}
	one := runner.RunReport{Scenarios: []runner.ScenarioResult{x}}
	switch {
	case one.Pending() > 0:
		f.Outcome = scenarioNotRestored
	case x.Err != nil:
		f.Outcome = scenarioFailed
	}
	return f
}
