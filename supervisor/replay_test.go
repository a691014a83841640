package supervisor_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

// TestReplay: a file that takes its process down fails, in its callable as when it is loaded, and
// all others are restored, one at a time and several at once.
func TestReplay(t *testing.T) {
	t.Parallel()
	for _, parallel := range []int{1, 3} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.plant(1, "", "pass")
			p.plant(2, "", bomb)
			p.plant(3, bomb, "pass")
			p.plant(4, "", "pass")
			report, err := p.supervisor(nil).Replay(t.Context(), runner.ReplayOptions{Parallel: parallel})
			if err != nil {
				t.Fatal(err)
			}
			p.want("outcomes", outcomes(report.Results), map[string]string{
				"x_scenarios_1_aaaaaaaa.star": "restored", "x_scenarios_2_aaaaaaaa.star": "failed",
				"x_scenarios_3_aaaaaaaa.star": "failed", "x_scenarios_4_aaaaaaaa.star": "restored",
			})
			p.want("pending", p.pending(), []string{"x_scenarios_2_aaaaaaaa.star", "x_scenarios_3_aaaaaaaa.star"})
			for _, r := range report.Results {
				if r.Outcome == runner.Failed {
					p.want(r.File.Name, runner.KindOf(r.Err), runner.KindLost)
					p.want(r.File.Name, r.Err, "the process that replayed it used more than 256 MiB of memory")
				}
			}
			for _, line := range []string{"undoing", "going on without that file"} {
				if !strings.Contains(p.said(), line) {
					t.Errorf("the log has no %q:\n%s", line, p.said())
				}
			}
		})
	}
}

// afterKill is the outcome of a file, by the point at which the worker that replayed it was killed.
var afterKill = map[runner.Point]string{
	runner.BeforeUndo: "failed", runner.BeforeRename: "restored", runner.AfterRename: "already restored",
}

// TestReplayKilled kills the worker at each point of a replay: another one goes on.
func TestReplayKilled(t *testing.T) {
	t.Parallel()
	for point, want := range afterKill {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.plant(1, "", "pass")
			p.plant(2, "", "pass")
			p.Kill = string(point)
			report, err := p.supervisor(nil).Replay(t.Context(), runner.ReplayOptions{Parallel: 1})
			if err != nil {
				t.Fatal(err)
			}
			got := outcomes(report.Results)
			p.want("the other file", got["x_scenarios_1_aaaaaaaa.star"], "restored")
			p.want("the file", got["x_scenarios_2_aaaaaaaa.star"], want)
			if n := len(report.Results); n != 2 {
				t.Errorf("got %d results, want one of each file: %+v", n, report.Results)
			}
		})
	}
}

// TestReplayFileKilled does the same for the replay of one file. A file that a process renamed is
// restored, even if the process was killed before it reported that.
func TestReplayFileKilled(t *testing.T) {
	t.Parallel()
	for point, want := range afterKill {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			name := p.plant(1, "", "pass")
			p.Kill = string(point)
			_, file, err := versions.Locate(name)
			if err != nil {
				t.Fatal(err)
			}
			report, err := p.supervisor(nil).ReplayFile(t.Context(), file, runner.ReplayOptions{})
			if err != nil {
				t.Fatalf("%v; the log:\n%s", err, p.said())
			}
			p.want("outcomes", outcomes(report.Results), map[string]string{filepath.Base(name): want})
			p.want("pending", len(p.pending()) > 0, want == "failed")
			if where := report.Results[0].File.Location; want != "failed" {
				p.want("where it is now", where, name+".executed")
			}
		})
	}
}

// TestInProcess: where no process can be started, the work is done in this one, and nothing of the
// work goes on after it.
func TestInProcess(t *testing.T) {
	p := newPlace(t)
	p.plant(1, "", "pass")
	s := p.supervisor(func(o *supervisor.Options) {
		o.Args = []string{"no\x00program"}
		o.Abort = func(why string) { t.Errorf("aborted: this process %s", why) }
	})
	report, err := s.Replay(t.Context(), runner.ReplayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.want("outcomes", outcomes(report.Results), map[string]string{"x_scenarios_1_aaaaaaaa.star": "restored"})
	if !strings.Contains(p.said(), "no other process can be started") {
		t.Errorf("it was not done in this process; the log:\n%s", p.said())
	}
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; bytes.Contains(stacks, []byte("worker.WatchMemory")) {
		t.Errorf("the memory is watched though the work has ended:\n%s", stacks)
	}
}

// TestNotUTF8: paths cross as they are.
func TestNotUTF8(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Versions += "\xff"
	name := p.plant(1, "", "pass")
	report, err := p.supervisor(nil).Replay(t.Context(), runner.ReplayOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.want("location", report.Results[0].File.Location, name+".executed")
}
