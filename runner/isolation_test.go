package runner_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// What needs only a cloud goes first: the machines that it starts may be those of the API server.
func TestCloudsGoFirst(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("oldcloud", "pass", `ref("gcp.Instance", "a", "project/zone")`))
	b.execution("run-2", file("newcloud", "pass", `ref("gcp.Instance", "b", "project/zone")`))
	b.execution("run-3", file("mixed", "pass", `ref("gcp.Instance", "c", "project/zone")`, `ref("Pod", "a", "default")`))
	b.execution("run-4", file("unknown", "pass"))
	b.execution("run-5", file("pod", "pass", `ref("Pod", "b", "default")`))
	b.replay(runner.ReplayOptions{})
	if got := b.undone(); got != "newcloud oldcloud pod unknown mixed" {
		t.Errorf("undone %s", got)
	}
}

// files returns a run's files, oldest first.
func (b *bench) files(run string) []versions.File {
	b.t.Helper()
	listing, err := b.store.List(b.t.Context(), versions.Filter{RunUUID: run})
	if err != nil {
		b.t.Fatal(err)
	}
	files := listing.Executions[0].Files
	slices.Reverse(files)
	return files
}

// A file that ended an earlier process fails untried, and blocks what is older. One whose result is
// known keeps it, and the journal does not say it twice.
func TestLostAndTried(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("a", "pass"), file("b", "pass"), file("c", "pass"))
	b.execution("run-2", file("d", "pass"), file("e", "pass"))
	lost, tried := b.files("run-1")[1], b.files("run-2")[1]
	var finished []string
	b.use(runner.Options{Hooks: runner.Hooks{
		Finished: func(r runner.Result) { finished = append(finished, string(r.Outcome)) },
	}})
	report := b.replay(runner.ReplayOptions{
		Lost:  map[string]*runner.LostError{lost.Key(): {How: "crashed"}},
		Tried: map[string]runner.Result{tried.Key(): {File: tried, Outcome: runner.Conflict, Err: errors.New("not ours")}},
	})
	if got := outcomes(report); got != "conflict, blocked, restored, failed, blocked" || b.undone() != "c" {
		t.Errorf("got %s, undone %s", got, b.undone())
	}
	if got := strings.Join(finished, " "); got != "restored failed" {
		t.Errorf("told of %s", got)
	}
	var said []string
	for entry, err := range b.store.Journal(t.Context(), versions.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, entry.Event+" "+entry.Outcome)
	}
	if got := strings.Join(said, ", "); got != "attempt , outcome restored, outcome failed" {
		t.Errorf("the journal says %s", got)
	}
}

// What an execution shares with a newer one keeps it waiting, whether that one failed now, or
// in an earlier process, or ended that, or can't even be loaded.
func TestSharedRefsOfTheUntried(t *testing.T) {
	shared := `ref("Service", "shop", "default")`
	for name, newest := range map[string]string{"lost": file("newest", "pass", shared), "tried": file("newest", "pass", shared), "broken": `not Starlark, but about "shop"`} {
		b := newBench(t)
		b.execution("run-1", file("oldest", "pass", shared))
		b.execution("run-2", file("other", "pass", `ref("Service", "other", "default")`))
		b.execution("run-3", newest)
		f := b.files("run-3")[0]
		sel := runner.ReplayOptions{}
		switch name {
		case "lost":
			sel.Lost = map[string]*runner.LostError{f.Key(): {How: "crashed"}}
		case "tried":
			sel.Tried = map[string]runner.Result{f.Key(): {File: f, RunUUID: "run-3", Outcome: runner.Failed, Err: errors.New("x")}}
		}
		report := b.replay(sel)
		got := map[string]runner.Outcome{}
		for _, r := range report.Results {
			got[r.RunUUID] = r.Outcome
		}
		if got["run-1"] != runner.Blocked || got["run-2"] != runner.Restored || got["run-3"] != runner.Failed {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// Whoever watches knows at each moment which file's code is at work, loading included.
func TestWatch(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("a", "pass"), file("b", `fail("x")`))
	b.execution("run-2", "not Starlark at all")
	var mu sync.Mutex
	active, begun := map[string]int{}, 0
	b.use(runner.Options{Hooks: runner.Hooks{
		Watch: func(f versions.File) func() {
			mu.Lock()
			defer mu.Unlock()
			active[f.Location]++
			begun++
			return func() {
				mu.Lock()
				defer mu.Unlock()
				active[f.Location]--
			}
		},
	}})
	for _, dry := range []bool{true, false} {
		begun = 0
		b.replay(runner.ReplayOptions{DryRun: dry, KeepGoing: true, Parallel: 2})
		if begun != 4 { // each once, and the one without a header for the order, too
			t.Errorf("dry run %v: watched %d times, want 4", dry, begun)
		}
		for location, n := range active {
			if n != 0 {
				t.Errorf("dry run %v: %s is at work %d times after the end", dry, location, n)
			}
		}
	}
}

// Code that goes on after its time, in a step that can't be interrupted, is reported; code that
// ends is not.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.execution("run-1", file("slow", "pass"))
		stuck, over := make(chan string, 1), make(chan struct{})
		r, err := runner.New(b.store, runner.Options{
			FileTimeout: time.Minute,
			Hooks:       runner.Hooks{StuckAfter: time.Second, Stuck: func(where string) { stuck <- where }},
			Log:         slog.New(&blocking{Handler: slog.DiscardHandler, at: "undoing slow", until: over}),
		})
		if err != nil {
			t.Fatal(err)
		}
		began, ended := time.Now(), make(chan error, 1)
		go func() {
			_, err := r.Replay(t.Context(), runner.ReplayOptions{})
			ended <- err
		}()
		if where, want := <-stuck, b.files("run-1")[0].Location; where != want {
			t.Errorf("stuck in %s, want %s", where, want)
		}
		if took := time.Since(began); took != time.Minute+time.Second {
			t.Errorf("reported after %s, want the time of the file and a second", took)
		}
		close(over)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		b.execution("run-2", file("quick", "pass"))
		if report, err := r.Replay(t.Context(), runner.ReplayOptions{}); err != nil || report.Pending() != 0 {
			t.Errorf("the second replay: got %+v, %v", report, err)
		}
		time.Sleep(time.Hour)
		if len(stuck) > 0 {
			t.Errorf("code that ended is stuck in %s", <-stuck)
		}
	})
}

// blocking is a log that keeps whoever writes a line: no context interrupts that.
type blocking struct {
	slog.Handler
	at    string
	until chan struct{}
}

func (b *blocking) Enabled(context.Context, slog.Level) bool { return true }

func (b *blocking) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, b.at) {
		<-b.until
	}
	return nil
}

func (b *blocking) WithAttrs([]slog.Attr) slog.Handler { return b }
func (b *blocking) WithGroup(string) slog.Handler      { return b }

func TestIntegrity(t *testing.T) {
	b := newBench(t)
	sealed := func(name string) []byte { return versions.Seal([]byte(file(name, "pass"))) }
	for name, test := range map[string]struct {
		content, flushed []byte // what is in the store, and what the journal says was written
		want             versions.SealState
		outcome          runner.Outcome
	}{
		"written":         {sealed("a"), sealed("a"), versions.Written, runner.Restored},
		"edited":          {append([]byte("\n"), sealed("b")...), sealed("b"), versions.Edited, runner.Restored},
		"replaced":        {sealed("c2"), sealed("c"), versions.Replaced, runner.Refused},
		"byhand":          {[]byte(file("d", "pass")), nil, versions.Unsealed, runner.Restored},
		"journal is gone": {sealed("e"), nil, versions.Written, runner.Restored},
		// Nobody knows what it was written for, and it does nothing.
		"edited and gone": {append([]byte("\n"), versions.Seal([]byte(file("f", "pass", `ref("gcp.Instance", "f")`)))...), nil, versions.Edited, runner.Conflict},
	} {
		x, err := b.store.Begin(t.Context(), "run-"+strings.ReplaceAll(name, " ", "-"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := x.Flush(t.Context(), "test_scenarios", test.content)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if test.flushed != nil {
			entry := versions.Entry{Event: versions.EventFlushed, Execution: f.Execution, File: f.Name, SHA256: versions.Digest(test.flushed)}
			if err := b.store.Append(t.Context(), entry); err != nil {
				t.Fatal(err)
			}
		}
		report := b.replay(runner.ReplayOptions{RunUUID: x.RunUUID()})
		if got := report.Results[0]; got.Integrity != test.want || got.Outcome != test.outcome {
			t.Errorf("%s: got %s, %s, want %s, %s", name, got.Integrity, got.Outcome, test.want, test.outcome)
		}
		if plan := b.replay(runner.ReplayOptions{RunUUID: x.RunUUID(), DryRun: true}); test.outcome != runner.Restored && outcomes(plan) != string(test.outcome) {
			t.Errorf("%s: planned %s", name, outcomes(plan))
		}
		// What is replayed once more, under its new name, is the same.
		executed := report.Results[0].File
		again, err := b.ReplayFile(t.Context(), executed, runner.ReplayOptions{})
		if err != nil || again.Results[0].Integrity != test.want {
			t.Errorf("%s, again: got %+v, %v", name, again, err)
		}
	}
}

// A file of another run undoes nothing of this one. Whoever knows better says so.
func TestFileOfAnotherRun(t *testing.T) {
	b := newBench(t)
	theirs := strings.Replace(file("a", "pass"), "format = 1", `format = 1, run_uuid = "run-2"`, 1)
	b.execution("run-1", theirs)
	report := b.replay(runner.ReplayOptions{})
	if got := outcomes(report); got != "refused" || b.undone() != "" || !strings.Contains(report.Results[0].Reason(), "a file of run run-2, which replaced one of run run-1") {
		t.Errorf("got %s, undone %q, because %s", got, b.undone(), report.Results[0].Reason())
	}
	b.use(runner.Options{Force: true})
	if got := outcomes(b.replay(runner.ReplayOptions{})); got != "restored" || b.undone() != "a" {
		t.Errorf("with force: got %s, undone %q", got, b.undone())
	}
}
