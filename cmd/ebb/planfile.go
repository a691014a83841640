package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/versions"
)

// planFormat is the format of the plan files that this program reads and writes.
const planFormat = 1

// planFile is what --dry-run --out writes and --plan carries out. It contains no code. Before a
// plan is carried out, ebb makes a new plan and compares the two.
type planFile struct {
	Format       int           `json:"format"`
	Ebb          string        `json:"ebb"`
	Created      time.Time     `json:"created"`
	Versions     string        `json:"versions_directory"`
	RunUUID      string        `json:"run_uuid,omitempty"`
	ScenarioType string        `json:"scenario_type,omitempty"`
	KeepGoing    bool          `json:"keep_going,omitempty"`
	Force        bool          `json:"force,omitempty"`
	Files        []plannedFile `json:"files"`
}

type plannedFile struct {
	Key     string          `json:"file"`   // execution and name
	SHA256  string          `json:"sha256"` // "" if it could not be read
	Outcome runner.Outcome  `json:"outcome"`
	Changes []plannedChange `json:"changes,omitempty"`
}

type plannedChange struct {
	Verb   string `json:"verb"`
	Object string `json:"object"`
	Text   string `json:"text"`
	UID    string `json:"uid,omitempty"`
	Before string `json:"before_sha256,omitempty"` // of the fields that users write, without the status
	After  string `json:"after_sha256,omitempty"`
}

// plan makes a plan file from the result of a dry run.
func (x *execution) plan(report *runner.Report) (*planFile, error) {
	p := &planFile{
		Format: planFormat, Ebb: version, Created: time.Now().UTC(), Versions: x.setup.store.Location(),
		RunUUID: x.replay.RunUUID, ScenarioType: x.replay.ScenarioType, KeepGoing: x.replay.KeepGoing, Force: x.options.Force,
	}
	for _, r := range report.Results {
		f := plannedFile{Key: r.File.Key(), Outcome: r.Outcome}
		if content, err := x.setup.store.Read(x.ctx, r.File); err == nil {
			f.SHA256 = versions.Digest(content)
		}
		for _, c := range r.Changes {
			change, err := planChange(c)
			if err != nil {
				return nil, err
			}
			f.Changes = append(f.Changes, change)
		}
		p.Files = append(p.Files, f)
	}
	return p, nil
}

func planChange(c builtins.Change) (plannedChange, error) {
	p := plannedChange{Verb: c.Verb, Object: c.Object, Text: c.Text}
	digest := func(encoded json.RawMessage) (string, error) {
		if encoded == nil {
			return "", nil
		}
		text, err := desired(encoded)
		return versions.Digest([]byte(text)), err
	}
	var err error
	if p.Before, err = digest(c.Before); err != nil {
		return p, err
	}
	if p.After, err = digest(c.After); err != nil {
		return p, err
	}
	var object struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if c.Before != nil {
		err = json.Unmarshal(c.Before, &object)
	}
	p.UID = object.Metadata.UID
	return p, err
}

func (x *execution) writePlan(report *runner.Report) error {
	p, err := x.plan(report)
	if err != nil {
		return &untriedError{err}
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return &untriedError{err}
	}
	if err := os.WriteFile(x.options.Out, append(text, '\n'), 0o600); err != nil {
		return &untriedError{fmt.Errorf("the plan can't be written: %w", err)}
	}
	x.setup.log.Info("Plan written; to carry it out: " + x.setup.next("execute-rollback", "--plan", x.options.Out))
	return nil
}

// readPlan reads a plan file. It must have been made for the same versions directory.
func (s *setup) readPlan(path string) (*planFile, error) {
	directory := s.store.Location()
	content, err := schema.ReadFile(path)
	var p planFile
	if err == nil {
		err = json.Unmarshal(content, &p)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("plan %q can't be read: %w", path, err)
	case p.Format != planFormat:
		err = fmt.Errorf("plan %q has format %d, want %d", path, p.Format, planFormat)
	case p.Versions != directory:
		err = fmt.Errorf("plan %q is for the versions directory %q, not %q", path, p.Versions, directory)
	default:
		return &p, nil
	}
	return nil, &usageError{err: err, hints: []string{"make a new one: " + s.next("execute-rollback", "--dry-run", "--out", path)}}
}

// follow checks that a plan is still what a replay would do. done means that there is nothing left
// to do.
func (x *execution) follow(wanted *planFile) (done bool, err error) {
	report, err := x.look()
	if err != nil {
		return true, x.replayed(report, err)
	}
	now, err := x.plan(report)
	if err != nil {
		return true, &untriedError{err}
	}
	if drift := wanted.drift(now); len(drift) > 0 {
		return true, &runner.RefusedError{
			Kind:   runner.KindDrift,
			Err:    errors.New("nothing was done, the plan no longer holds:\n" + strings.Join(drift, "\n")),
			Advice: []string{"look at what a replay would do now: " + x.setup.next("execute-rollback", append(replayWords(x.options.KeepGoing, x.options.Force, x.options.words()...), "--dry-run", "--out", x.options.Plan)...)},
		}
	}
	if !planned(report) {
		return true, x.replayed(report, nil)
	}
	x.replay.Only = keysOf(report.Results)
	return false, nil
}

// drift lists the differences between two plans.
func (p *planFile) drift(now *planFile) []string {
	var found []string
	for _, f := range now.Files {
		i := slices.IndexFunc(p.Files, func(other plannedFile) bool { return other.Key == f.Key })
		if i < 0 {
			found = append(found, f.Key+": is pending, and not in the plan")
			continue
		}
		found = append(found, p.Files[i].drift(f)...)
	}
	for _, f := range p.Files {
		if !slices.ContainsFunc(now.Files, func(other plannedFile) bool { return other.Key == f.Key }) {
			found = append(found, f.Key+": is in the plan, and not pending any more")
		}
	}
	return found
}

func (f plannedFile) drift(now plannedFile) []string {
	say := func(format string, args ...any) []string {
		return []string{f.Key + ": " + fmt.Sprintf(format, args...)}
	}
	switch {
	case f.SHA256 != now.SHA256:
		return say("the file was changed")
	case f.Outcome != now.Outcome:
		return say("would be %q, and the plan says %q", now.Outcome, f.Outcome)
	}
	var found []string
	for i := range max(len(f.Changes), len(now.Changes)) {
		switch {
		case i >= len(now.Changes):
			found = append(found, say("%q is not to be done any more", f.Changes[i].Text)...)
		case i >= len(f.Changes):
			found = append(found, say("%q is to be done, and not in the plan", now.Changes[i].Text)...)
		case f.Changes[i].Text != now.Changes[i].Text:
			found = append(found, say("%q would be done, and the plan says %q", now.Changes[i].Text, f.Changes[i].Text)...)
		case f.Changes[i] != now.Changes[i]:
			found = append(found, say("%s was changed", f.Changes[i].Object)...)
		}
	}
	return found
}
