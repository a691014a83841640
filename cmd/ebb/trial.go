package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/snapshot"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

// trial is one call of ebb test. Each of its runs and replays has a worker of its own. The pipe to
// the worker says at which point it is killed.
type trial struct {
	*supervised
	options  testOptions
	settings workerSettings
	began    time.Time
	script   *runner.Declared
	files    []runner.ScenarioFile

	client  *kube.Client // nil if no cluster is needed
	kinds   []kube.Resource
	unseen  []string // what is not compared, and why
	before  *snapshot.Snapshot
	scope   snapshot.Scope
	inCloud map[string]bool // refs of objects that are not in the cluster but in a cloud

	passed map[runner.Point]int // by the whole run
	runs   []string             // UUIDs
	steps  []trialStep
}

// The points, in the order in which a scenario passes them.
var pointsInOrder = []runner.Point{
	runner.BeforeFlush, runner.Rehearsal, runner.AfterFlush, runner.AfterChange, runner.EffectSeen,
	runner.BeforeUndo, runner.DuringUndo, runner.BeforeRename, runner.AfterRename,
}

// errStop ends a trial. The steps have the results.
var errStop = errors.New("the trial is over")

// all makes all steps. It stops after a step that failed: the cluster may then not be in the state
// with which the next step has to begin.
func (t *trial) all() error {
	t.printStep(t.steps[0])
	if err := t.snapshot(); err != nil {
		return err
	}
	if err := t.whole(); err != nil {
		return err
	}
	for _, p := range pointsInOrder {
		times := []int{1, t.passed[p]}
		if p == runner.EffectSeen {
			times[1] = 1 // the number of passes depends on timing
		}
		if t.passed[p] == 0 {
			continue
		}
		for _, nth := range slices.Compact(times) {
			if err := t.killed(supervisor.KillAt{Point: p, Nth: nth}); err != nil {
				return err
			}
		}
	}
	for _, p := range []runner.Point{runner.DuringUndo, runner.BeforeRename} {
		if t.passed[p] > 0 {
			if err := t.replayKilled(supervisor.KillAt{Point: p, Nth: 1}); err != nil {
				return err
			}
		}
	}
	return t.twice()
}

// work is a job for a worker of its own.
type work struct {
	*supervisor.Supervisor
	log bytes.Buffer // the worker's log
}

func (t *trial) work(kill *supervisor.KillAt, passed func(runner.Point)) (*work, error) {
	w := &work{}
	o := supervisor.Options{Output: &w.log, Args: t.options.args, Grace: t.options.Grace + time.Hour, Memory: maxMemory, KillAt: kill, Passed: passed}
	if t.options.LogLevel == "debug" {
		o.Output = t.options.stderr
	}
	var err error
	w.Supervisor, err = supervisor.New(buildRunner, t.settings, o)
	return w, err
}

// run runs the scenarios once, to the end or to a point. killed reports whether the point was
// reached.
func (t *trial) run(step *trialStep, kill *supervisor.KillAt, passed func(runner.Point)) (report *runner.RunReport, killed bool, err error) {
	w, err := t.work(kill, passed)
	if err != nil {
		return nil, false, err
	}
	id := uuid.NewString()
	t.runs = append(t.runs, id)
	step.RunUUID = id
	report, err = w.Run(t.ctx, supervisor.Scenarios{Files: t.files}, runner.RunOptions{UUID: id})
	step.log = append(step.log, w.log.Bytes()...)
	if report != nil {
		t.touched(report.Results().Results)
	}
	var incomplete *supervisor.IncompleteError
	if errors.As(err, &incomplete) && incomplete.Killed {
		return report, true, nil
	}
	return report, false, err
}

// replay undoes what a run left. A signal does not stop it: what was changed before a signal still
// has to be undone.
func (t *trial) replay(step *trialStep, kill *supervisor.KillAt) (report *runner.Report, killed bool, err error) {
	w, err := t.work(kill, nil)
	if err != nil {
		return nil, false, err
	}
	report, err = w.Replay(context.WithoutCancel(t.ctx), runner.ReplayOptions{RunUUID: step.RunUUID})
	step.log = append(step.log, w.log.Bytes()...)
	if report != nil {
		t.touched(report.Results)
	}
	var incomplete *supervisor.IncompleteError
	var unknown *runner.UnknownRunError
	switch {
	case errors.As(err, &incomplete) && incomplete.Killed:
		return report, true, nil
	case errors.As(err, &unknown): // the run was killed before it began anything
		return &runner.Report{}, false, nil
	}
	return report, false, err
}

// touched records which objects the version files name: the comparison looks at them.
func (t *trial) touched(results []runner.Result) {
	for _, x := range results {
		for _, ref := range x.Undoes {
			t.add(ref)
		}
	}
}

func (t *trial) add(ref builtins.Ref) {
	if ref.InCluster() {
		t.unlisted(ref)
	}
	switch {
	case !ref.InCluster():
		t.inCloud[ref.Short()] = true
	case ref.Namespace != "" && !slices.Contains(t.scope.Namespaces, ref.Namespace):
		t.scope.Namespaces = append(t.scope.Namespaces, ref.Namespace)
	case ref.Namespace == "":
		t.scope.Objects[ref.Kind+" "+ref.Name] = true
	}
}

// whole runs the scenario to its end, and counts the points that it passes.
func (t *trial) whole() error {
	step := &trialStep{Name: "whole run"}
	report, _, err := t.run(step, nil, func(p runner.Point) { t.passed[p]++ })
	if err != nil {
		return err
	}
	if report.Interrupted {
		return t.interrupted(step)
	}
	if problem := failed(report); problem != "" {
		return t.fail(step, problem)
	}
	if t.passed[runner.AfterChange] == 0 {
		return t.fail(step, "the scenario changed nothing, so there is nothing to test")
	}
	step.Detail = fmt.Sprintf("%d change(s); %s", t.passed[runner.AfterChange], effectsOf(report))
	return t.compare(step)
}

// failed says why a run failed, "" if it did not.
func failed(report *runner.RunReport) string {
	for _, x := range report.Scenarios {
		for _, r := range x.Results {
			if !r.Outcome.Undone() {
				return fmt.Sprintf("%s: %s: %s", r.File.Location, r.Outcome, r.Reason())
			}
		}
		if x.Err != nil {
			return x.Err.Error()
		}
	}
	return ""
}

// effectsOf describes what was observed of the chaos.
func effectsOf(report *runner.RunReport) string {
	text := ""
	for _, x := range report.Scenarios {
		for _, e := range x.Effects {
			one := "effect " + string(e.State)
			switch {
			case e.State == builtins.InForce:
				one = fmt.Sprintf("in force for %s", e.Until.Sub(e.From).Round(time.Second/10))
				if n := len(e.Hit); n > 0 {
					one += fmt.Sprintf(" on %d object(s)", n)
				}
			case e.Why != "":
				one += ": " + e.Why
			}
			if text == "" {
				text = one
			}
		}
	}
	return text
}

// killed kills a run at a point, and replays.
func (t *trial) killed(at supervisor.KillAt) error {
	step := &trialStep{Name: "killed at " + at.String(), Point: string(at.Point), Nth: at.Nth}
	report, killed, err := t.run(step, &at, nil)
	switch {
	case err != nil:
		return err
	case killed:
		return t.restore(step)
	case report.Interrupted:
		return t.interrupted(step)
	}
	if problem := failed(report); problem != "" {
		return t.fail(step, problem)
	}
	step.Result = stepNotReached
	step.Detail = fmt.Sprintf("passed %d time(s) in the whole run, not this time", t.passed[at.Point])
	return t.compare(step)
}

// replayKilled kills a run at its last change, then kills its replay at a point, and replays once
// more.
func (t *trial) replayKilled(at supervisor.KillAt) error {
	step := &trialStep{Name: "replay killed at " + at.String(), Point: string(at.Point), Nth: at.Nth}
	report, killed, err := t.run(step, &supervisor.KillAt{Point: runner.AfterChange, Nth: t.passed[runner.AfterChange]}, nil)
	switch {
	case err != nil:
		return err
	case !killed && report.Interrupted:
		return t.interrupted(step)
	case !killed:
		step.Result, step.Detail = stepNotReached, "the run did not come to its last change this time"
		return t.compare(step)
	}
	first, killed, err := t.replay(step, &at)
	switch {
	case err != nil:
		return err
	case killed:
		return t.restore(step)
	}
	step.Result = stepNotReached
	return t.judge(step, first)
}

// restore replays, and compares.
func (t *trial) restore(step *trialStep) error {
	report, _, err := t.replay(step, nil)
	if err != nil {
		return err
	}
	return t.judge(step, report)
}

// judge checks the result of a replay, and the cluster.
func (t *trial) judge(step *trialStep, report *runner.Report) error {
	counts := map[runner.Outcome]int{}
	for _, x := range report.Results {
		counts[x.Outcome]++
		if !x.Outcome.Undone() {
			return t.fail(step, fmt.Sprintf("%s: %s: %s", x.File.Location, x.Outcome, x.Reason()))
		}
	}
	step.Detail = "nothing was pending"
	if len(counts) > 0 {
		step.Detail = countsText(counts)
	}
	if err := t.compare(step); err != nil {
		return err
	}
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	return nil
}

// twice undoes what the last run left once more, after a replay has restored it.
func (t *trial) twice() error {
	step := &trialStep{Name: "undone twice"}
	listing, err := t.setup.store.List(t.ctx, versions.Filter{RunUUID: t.runs[len(t.runs)-1]})
	if err != nil {
		return err
	}
	counts := map[runner.Outcome]int{}
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if f.Kind != versions.KindVersion {
				continue
			}
			w, err := t.work(nil, nil)
			if err != nil {
				return err
			}
			report, err := w.ReplayFile(t.ctx, f, runner.ReplayOptions{})
			step.log = append(step.log, w.log.Bytes()...)
			if err != nil {
				return err
			}
			for _, r := range report.Results {
				counts[r.Outcome]++
				if !r.Outcome.Undone() {
					return t.fail(step, fmt.Sprintf("%s: %s: %s", f.Location, r.Outcome, r.Reason()))
				}
			}
		}
	}
	step.Detail = countsText(counts)
	if len(counts) == 0 {
		step.Result, step.Detail = stepNotReached, "there was no executed file to undo again"
	} else if counts[runner.Restored]+counts[runner.Unverified] > 0 {
		step.Detail += "; a callable with nothing left to do should change nothing and call already_restored(…)"
	}
	return t.compare(step)
}
