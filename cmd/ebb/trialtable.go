package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
)

// The results of a step.
const (
	stepPassed     = "passed"
	stepFailed     = "failed"
	stepNotReached = "not reached"
)

// trialStep is one step of a trial.
type trialStep struct {
	Name        string   `json:"step"`
	Point       string   `json:"point,omitempty" jsonschema:"where the process was killed"`
	Nth         int      `json:"nth,omitempty" jsonschema:"at which pass of the point, from 1"`
	Result      string   `json:"result" jsonschema:"passed, failed or not reached"`
	Detail      string   `json:"detail,omitempty"`
	Differences []string `json:"differences,omitempty" jsonschema:"what in the cluster is not as before"`
	RunUUID     string   `json:"run_uuid,omitempty"`

	log []byte // of its workers
}

// testDocument is what test prints with -o json.
type testDocument struct {
	head
	Ebb         string       `json:"ebb" jsonschema:"the release that tested"`
	Script      string       `json:"script"`
	Type        string       `json:"scenario_type"`
	Config      string       `json:"config"`
	Server      string       `json:"server,omitempty"`
	Began       string       `json:"began" jsonschema:"RFC 3339 with nanoseconds, UTC"`
	Ended       string       `json:"ended" jsonschema:"RFC 3339 with nanoseconds, UTC"`
	ExitCode    int          `json:"exit_code"`
	Passed      bool         `json:"passed"`
	Error       *jsonFailure `json:"error,omitempty" jsonschema:"why the test could not go on"`
	Steps       []trialStep  `json:"steps"`
	NeverPassed []string     `json:"never_passed" jsonschema:"points that the whole run did not come to"`
	Compared    []string     `json:"compared"`
	NotCompared []string     `json:"not_compared"`
}

// end finishes a step that did not fail.
func (t *trial) end(step *trialStep) error {
	if step.Result == "" {
		step.Result = stepPassed
	}
	t.steps = append(t.steps, *step)
	t.printStep(*step)
	return nil
}

// fail finishes a step that failed, and prints its workers' logs.
func (t *trial) fail(step *trialStep, why string) error {
	step.Result, step.Detail = stepFailed, why
	t.steps = append(t.steps, *step)
	t.printStep(*step)
	const most = 30
	lines := bytes.Split(bytes.TrimSpace(step.log), []byte("\n"))
	for _, line := range lines[max(0, len(lines)-most):] {
		t.setup.log.Info("it said: " + console.Clean(string(line)))
	}
	return errStop
}

// interrupted ends a trial whose run was interrupted and undone.
func (t *trial) interrupted(step *trialStep) error {
	step.Detail = "interrupted, and undone"
	if left := t.left(step.RunUUID); left != "" {
		return t.fail(step, left)
	}
	return context.Canceled
}

func (t *trial) printStep(step trialStep) {
	if t.options.Output == "json" {
		return
	}
	p := &printer{w: t.setup.stdout}
	mark := map[string]string{stepPassed: "ok", stepFailed: "FAILED", stepNotReached: "not reached"}[step.Result]
	p.line("%-30s %-11s  %s", step.Name, mark, console.Clean(strings.ReplaceAll(step.Detail, "\n", "; ")))
	for _, d := range step.Differences {
		p.line("   %s", console.Clean(d))
	}
	if p.err != nil {
		t.setup.log.Error(fmt.Sprintf("the results can't be printed: %v", p.err))
	}
}

// countsText formats counts: "2 restored, 1 already restored".
func countsText(counts map[runner.Outcome]int) string {
	var all []string
	for _, o := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%d %s", counts[o], o))
	}
	return strings.Join(all, ", ")
}

// neverPassed lists the points that the whole run did not pass, and what that means.
func (t *trial) neverPassed() []string {
	var all []string
	for _, p := range pointsInOrder {
		if t.passed[p] > 0 {
			continue
		}
		why := "the run did not come so far"
		switch {
		case p == runner.EffectSeen && !t.script.Observed:
			why = "the script has no effect(config), so that nobody looks whether the chaos is in force"
		case p == runner.DuringUndo && t.passed[runner.BeforeUndo] > 0:
			why = "the undo changed nothing"
		}
		all = append(all, fmt.Sprintf("%s: %s", p, why))
	}
	return all
}

// finish prints the result of a trial, and returns an error with the exit code.
func (t *trial) finish(err error) error {
	s := t.setup
	passed := err == nil
	if err == errStop {
		err = outcomeError(exitFailed)
	}
	left, lookErr := t.pendingLeft()
	switch {
	case t.wasKilled():
		return outcomeError(exitPending)
	case lookErr != nil:
		err = &untriedError{lookErr}
	case left > 0:
		s.log.Error(fmt.Sprintf("%d version file(s) of the test are not restored; look: %s; replay: %s", left, s.next("list-rollback", "--pending"), s.again))
		err = outcomeError(exitPending)
	case passed:
		err = t.tidy()
	}
	d := t.document(passed && err == nil, err)
	if t.options.Output == "json" {
		if werr := writeJSON(s.stdout, d); werr != nil && err == nil {
			return werr
		}
		return err
	}
	p := &printer{w: s.stdout}
	p.line("")
	for _, line := range d.NeverPassed {
		p.line("never passed: %s", console.Clean(line))
	}
	for _, line := range d.Compared {
		p.line("compared: %s", console.Clean(line))
	}
	for _, line := range d.NotCompared {
		p.line("not compared: %s", console.Clean(line))
	}
	verdict := "failed"
	if d.Passed {
		verdict = "passed"
	}
	p.line("%s: %s, %d step(s) in %s", console.Clean(d.Script), verdict, len(d.Steps), time.Since(t.began).Round(time.Second/10))
	if p.err != nil && err == nil {
		return p.err
	}
	return err
}

func (t *trial) document(passed bool, err error) *testDocument {
	d := &testDocument{
		head: head{documentVersion, "test"}, Ebb: version, Script: t.options.operands[0], Type: t.script.Type,
		Config: t.options.configFile(), Began: instant(t.began), Ended: instant(time.Now()),
		ExitCode: exitCodeOf(err), Passed: passed, Error: t.setup.failureOf(err), Steps: t.steps,
		NeverPassed: t.neverPassed(), Compared: t.compared(), NotCompared: t.notCompared(),
	}
	if t.client != nil {
		d.Server = t.client.Server()
	}
	return d
}
