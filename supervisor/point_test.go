package supervisor_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
)

// TestKillAt kills a run, and then its replay, at a point that an earlier run has told of. Nobody goes
// on, and what is pending stays so until it is replayed.
func TestKillAt(t *testing.T) {
	p := newPlace(t)
	scenarios := p.scenarios("steps: [a, b]")
	var passed []runner.Point
	report, err := p.supervisor(func(o *supervisor.Options) {
		o.Passed = func(at runner.Point) { passed = append(passed, at) }
	}).Run(t.Context(), scenarios, runner.RunOptions{UUID: "whole"})
	if err != nil || report.Failed() > 0 {
		t.Fatalf("run: %v, %+v", err, report)
	}
	// Each of the two is flushed and then rehearsed; the newer is undone first.
	written := []runner.Point{runner.BeforeFlush, runner.Rehearsal, runner.Rehearsal, runner.AfterFlush}
	undone := []runner.Point{runner.BeforeUndo, runner.BeforeRename, runner.AfterRename}
	p.want("points", passed, slices.Concat(written, written, undone, undone))

	killed := func(at supervisor.KillAt) *supervisor.Supervisor {
		return p.supervisor(func(o *supervisor.Options) { o.KillAt = &at })
	}
	var incomplete *supervisor.IncompleteError
	_, err = killed(supervisor.KillAt{Point: runner.AfterFlush, Nth: 2}).Run(t.Context(), scenarios, runner.RunOptions{UUID: "killed"})
	if !errors.As(err, &incomplete) || !incomplete.Killed {
		t.Fatalf("a run that is killed: got %v", err)
	}
	p.want("pending after the run", len(p.pending()), 2)
	replay, err := killed(supervisor.KillAt{Point: runner.AfterRename, Nth: 1}).Replay(t.Context(), runner.ReplayOptions{})
	if !errors.As(err, &incomplete) || !incomplete.Killed {
		t.Fatalf("a replay that is killed: got %v, %+v", err, replay)
	}
	p.want("pending after the replay", len(p.pending()), 1)
	// A point that is never passed kills nobody.
	replay, err = killed(supervisor.KillAt{Point: runner.DuringUndo, Nth: 1}).Replay(t.Context(), runner.ReplayOptions{})
	if err != nil || len(replay.Results) != 1 || !replay.Results[0].Outcome.Undone() {
		t.Fatalf("a replay to its end: got %v, %+v", err, replay)
	}
	p.want("pending at the end", len(p.pending()), 0)
}
