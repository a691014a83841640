package supervisor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

func TestMain(m *testing.M) {
	if os.Args[0] == exampleName {
		supervisor.Main(newRunner)
	}
	supervisor.Main(build)
	os.Exit(m.Run())
}

// settings are what the tests' workers make their runners of.
type settings struct {
	Versions string
	Scripts  map[string]string
	Kill     string // the point at which the process kills itself, the first time in its directory
	Refuse   string // an error of build's
}

func build(s settings, w *supervisor.Worker) (*runner.Runner, error) {
	if s.Refuse != "" {
		return nil, &runner.RefusedError{Kind: runner.KindInsecure, Err: errors.New(s.Refuse), Advice: []string{"do that"}}
	}
	store, err := versions.NewDir(s.Versions)
	if err != nil {
		return nil, err
	}
	hooks := w.Hooks
	hooks.Reached = func(p runner.Point) {
		if string(p) != s.Kill {
			return
		}
		// Once: the file is there from then on.
		if f, err := os.OpenFile(s.Versions+".killed", os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			_ = f.Close()
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	scripts := fstest.MapFS{}
	for name, content := range s.Scripts {
		scripts[name] = &fstest.MapFile{Data: []byte(content)}
	}
	o := runner.Options{Hooks: hooks, FileTimeout: 20 * time.Second, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if len(scripts) > 0 {
		o.Scripts = []runner.ScriptDir{{Name: "tests", FS: scripts}}
	}
	return runner.New(store, o)
}

// place is a versions directory, and a supervisor of it.
type place struct {
	*testing.T
	settings
	log bytes.Buffer
	mu  sync.Mutex
}

func newPlace(t *testing.T) *place {
	return &place{T: t, settings: settings{Versions: filepath.Join(t.TempDir(), "versions")}}
}

// Write takes in what the supervisor and its workers log.
func (p *place) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *place) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *place) supervisor(set func(*supervisor.Options)) *supervisor.Supervisor {
	p.Helper()
	o := supervisor.Options{Output: p, Log: slog.New(slog.NewTextHandler(p, nil)), Memory: 256 << 20}
	if set != nil {
		set(&o)
	}
	s, err := supervisor.New(build, p.settings, o)
	if err != nil {
		p.Fatal(err)
	}
	return s
}

const file = `rollback_version = RollbackVersion(format = 1)
rollback_content = RollbackContent(resource_identifier = "x")
%s

def rollback_callable(rollback_content):
    log.info("undoing %s")
    %s

def verify_callable(rollback_content):
    pass
`

// bomb is more memory than the tests' workers may have, in steps that the interpreter can't
// interrupt.
const bomb = "x = [[0] * (1 << 20) for _ in range(1000)]"

// plant writes a version file of an execution of its own.
func (p *place) plant(n int, top, undo string) string {
	p.Helper()
	dir := filepath.Join(p.Versions, fmt.Sprintf("%d-run", n))
	name := filepath.Join(dir, fmt.Sprintf("x_scenarios_%d_aaaaaaaa.star", n))
	err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(name, fmt.Appendf(nil, file, top, filepath.Base(name), undo), 0o700))
	if err != nil {
		p.Fatal(err)
	}
	return name
}

// outcomes are what came of files, by their names, with where they are now.
func outcomes(results []runner.Result) map[string]string {
	all := map[string]string{}
	for _, r := range results {
		all[strings.TrimSuffix(filepath.Base(r.File.Location), ".executed")] = string(r.Outcome)
	}
	return all
}

func (p *place) pending() []string {
	p.Helper()
	names, err := filepath.Glob(filepath.Join(p.Versions, "*", "*.star"))
	if err != nil {
		p.Fatal(err)
	}
	for i, name := range names {
		names[i] = filepath.Base(name)
	}
	return names
}

func (p *place) want(what string, got, want any) {
	p.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		p.Errorf("%s: got %v, want %v; the log:\n%s", what, got, want, p.said())
	}
}

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

// TestReplayKilled kills the worker at each point of a replay: another one goes on.
func TestReplayKilled(t *testing.T) {
	t.Parallel()
	for point, want := range map[runner.Point]string{
		runner.BeforeUndo: "failed", runner.BeforeRename: "restored", runner.AfterRename: "",
	} {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.plant(1, "", "pass")
			p.plant(2, "", "pass")
			p.Kill = string(point)
			report, err := p.supervisor(nil).Replay(t.Context(), runner.ReplayOptions{})
			if err != nil {
				t.Fatal(err)
			}
			got := outcomes(report.Results)
			p.want("the other file", got["x_scenarios_1_aaaaaaaa.star"], "restored")
			p.want("the file", got["x_scenarios_2_aaaaaaaa.star"], want)
		})
	}
}

// TestRefused: an error keeps its kind and its hints on its way here, and none is tried again.
func TestRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Refuse = "\xffnot safe"
	report, err := p.supervisor(nil).Replay(t.Context(), runner.ReplayOptions{})
	if report != nil || runner.KindOf(err) != runner.KindInsecure || err.Error() != p.Refuse || fmt.Sprint(runner.HintsOf(err)) != "[do that]" {
		t.Errorf("got %v, %q of kind %q with hints %q", report, err, runner.KindOf(err), runner.HintsOf(err))
	}
}

// TestKill ends the work at once, and TestGrace when it is not done in time.
func TestKill(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.plant(1, "", "time.sleep(600)")
	p.plant(2, "", "pass")
	s := p.supervisor(nil)
	go func() {
		for !strings.Contains(p.said(), "1_aaaaaaaa.star") {
			time.Sleep(5 * time.Millisecond)
		}
		s.Kill()
	}()
	report, err := s.Replay(t.Context(), runner.ReplayOptions{})
	var incomplete *supervisor.IncompleteError
	if !errors.As(err, &incomplete) {
		t.Fatalf("got %v, want an IncompleteError", err)
	}
	p.want("outcomes", outcomes(report.Results), map[string]string{"x_scenarios_2_aaaaaaaa.star": "restored"})
	p.want("pending", p.pending(), []string{"x_scenarios_1_aaaaaaaa.star"})
}

func TestGrace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.plant(1, "", "time.sleep(600)")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for !strings.Contains(p.said(), "undoing") {
			time.Sleep(5 * time.Millisecond)
		}
		cancel(errors.New("enough"))
	}()
	_, err := p.supervisor(func(o *supervisor.Options) { o.Grace = 300 * time.Millisecond }).Replay(ctx, runner.ReplayOptions{})
	p.want("error", err, "still not done 300ms after the interruption")
	p.want("pending", p.pending(), []string{"x_scenarios_1_aaaaaaaa.star"})
}

// TestCheck: what a file does when it is loaded must not keep the others from being checked.
func TestCheck(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	source := func(name, top string) supervisor.Source {
		return supervisor.Source{Name: name, Content: fmt.Appendf(nil, file, top, "it", "pass")}
	}
	found, err := p.supervisor(nil).Check(t.Context(), []supervisor.Source{
		source("first", ""), source("second", bomb), source("third", bomb), source("\xfe", "x = y"), source("fifth", "x = y"), source("last", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range found {
		got = append(got, fmt.Sprintf("%q %v", d.Name, d.Errors))
	}
	p.want("found", strings.Join(got, "\n"), strings.Join([]string{
		`"first" []`,
		`"second" [second: the process that checked it used more than 256 MiB of memory]`,
		`"third" [third: the process that checked it used more than 256 MiB of memory]`,
		`"\xfe" [` + "\xfe" + `:3:5: undefined: y]`,
		`"fifth" [fifth:3:5: undefined: y]`,
		`"last" []`,
	}, "\n"))
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

// steps is a scenario that changes nothing: what it is about is not in any cluster.
const steps = `
scenario = Scenario(
    type = "steps_scenarios",
    help = "changes nothing",
    fields = {"steps": field(type = "list", items = field(), required = True), "bomb": field(type = "bool", default = False), "fail": field(type = "bool", default = False)},
    rights = [],
)

def run(config):
    for name in config.steps:
        set_rollback_callable(rollback, RollbackContent(resource_identifier = name), verify = verify, undoes = [ref("aws.Instance", name)])
    if config.bomb:
        [[0] * (1 << 20) for _ in range(1000)]
    if config.fail:
        fail("as it is told")

def rollback(rollback_content):
    """Does nothing."""
    log.info("undoing step " + rollback_content.resource_identifier)

def verify(rollback_content):
    """Passes."""
    pass
`

// scenarios are files of steps, by their content.
func (p *place) scenarios(contents ...string) supervisor.Scenarios {
	p.Scripts = map[string]string{"steps.star": steps}
	var all supervisor.Scenarios
	for i, content := range contents {
		all.Files = append(all.Files, runner.ScenarioFile{Type: "steps_scenarios", Path: fmt.Sprintf("%d.yaml", i), From: "test", Data: []byte(content)})
	}
	return all
}

// told is a report of a run in a few words: for each scenario its place, whether it failed, how
// many of its files were undone, and how many are left.
func told(report *runner.RunReport) string {
	var all []string
	for _, x := range report.Scenarios {
		undone := 0
		for _, r := range x.Results {
			if r.Outcome.Undone() {
				undone++
			}
		}
		all = append(all, fmt.Sprintf("%d.%d: %q, %d of %d undone, %d left", x.Position.Iteration, x.Position.Index, runner.KindOf(x.Err), undone, len(x.Results), len(x.Pending)))
	}
	return strings.Join(all, "\n")
}

// TestRun: a scenario whose code takes its process down has failed and is undone, and what comes
// after it is as after any failed scenario.
func TestRun(t *testing.T) {
	t.Parallel()
	const (
		good  = "{steps: [a, b]}"
		bad   = "{steps: [a, b], bomb: true}"
		fails = "{steps: [a, b], fail: true}"
	)
	for name, c := range map[string]struct {
		scenarios []string
		options   runner.RunOptions
		kill      runner.Point
		want      []string
	}{
		"goes on": {
			scenarios: []string{good, bad, fails, bad, good},
			want: []string{
				`0.0: "", 2 of 2 undone, 0 left`, `0.1: "lost", 2 of 2 undone, 0 left`, `0.2: "failed", 2 of 2 undone, 0 left`,
				`0.3: "lost", 2 of 2 undone, 0 left`, `0.4: "", 2 of 2 undone, 0 left`,
			},
		},
		"exit on failure": {
			scenarios: []string{good, bad, good}, options: runner.RunOptions{ExitOnFailure: true},
			want: []string{`0.0: "", 2 of 2 undone, 0 left`, `0.1: "lost", 2 of 2 undone, 0 left`},
		},
		"left": {
			scenarios: []string{bad, good}, options: runner.RunOptions{LeaveFailed: true},
			want: []string{`0.0: "lost", 0 of 0 undone, 2 left`},
		},
		"iterations": {
			scenarios: []string{bad, good}, options: runner.RunOptions{Iterations: 2},
			want: []string{
				`0.0: "lost", 2 of 2 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`,
				`1.0: "lost", 2 of 2 undone, 0 left`, `1.1: "", 2 of 2 undone, 0 left`,
			},
		},
		// Killed from outside, as the kernel does where memory is short.
		"before flush": {scenarios: []string{good, good}, kill: runner.BeforeFlush, want: []string{`0.0: "lost", 0 of 0 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`}},
		"after flush":  {scenarios: []string{good, good}, kill: runner.AfterFlush, want: []string{`0.0: "lost", 0 of 0 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`}},
		// The code of a version file was at work: it may have been that.
		"before undo":   {scenarios: []string{good, good}, kill: runner.BeforeUndo, want: []string{`0.0: "lost", 0 of 2 undone, 0 left`}},
		"before rename": {scenarios: []string{good, good}, kill: runner.BeforeRename, want: []string{`0.0: "lost", 2 of 2 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`}},
		"after rename":  {scenarios: []string{good, good}, kill: runner.AfterRename, want: []string{`0.0: "lost", 1 of 1 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.Kill = string(c.kill)
			scenarios := p.scenarios(c.scenarios...)
			report, err := p.supervisor(nil).Run(t.Context(), scenarios, c.options)
			if err != nil {
				t.Fatalf("%v; the log:\n%s", err, p.said())
			}
			p.want("report", told(report), strings.Join(c.want, "\n"))
			left := 0
			for _, x := range report.Scenarios {
				left += len(x.Pending)
				for _, r := range x.Results {
					if !r.Outcome.Undone() {
						left++
					}
				}
			}
			p.want("pending files", len(p.pending()), left)
		})
	}
}

// TestRunInterrupted: the scenario that another worker has to undo has only what is left of the
// grace, and no other begins.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	scenarios := p.scenarios("{steps: [a, b]}", "{steps: [a, b]}")
	p.Scripts["steps.star"] = strings.Replace(steps, "    if config.bomb:\n", "    log.info(\"waiting\")\n    time.sleep(600)\n    if config.bomb:\n", 1)
	p.Kill = string(runner.BeforeRename)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for !strings.Contains(p.said(), "waiting") {
			time.Sleep(5 * time.Millisecond)
		}
		cancel(errors.New("enough"))
	}()
	report, err := p.supervisor(nil).Run(ctx, scenarios, runner.RunOptions{})
	if err != nil {
		t.Fatalf("%v; the log:\n%s", err, p.said())
	}
	p.want("report", told(report), `0.0: "lost", 2 of 2 undone, 0 left`)
	p.want("interrupted", report.Interrupted, true)
	p.want("pending", p.pending(), []string{})
}

// TestRunDaemon ends in the middle of a round, whatever took its workers down before.
func TestRunDaemon(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for strings.Count(p.said(), "Scenario 0.yaml failed") < 4 {
			time.Sleep(5 * time.Millisecond)
		}
		cancel(errors.New("enough"))
	}()
	scenarios := p.scenarios("{steps: [a], bomb: true}", "{steps: [a]}")
	report, err := p.supervisor(nil).Run(ctx, scenarios, runner.RunOptions{Daemon: true})
	if err != nil {
		t.Fatalf("%v; the log:\n%s", err, p.said())
	}
	if n := len(report.Scenarios); n == 0 || n > 3 || !report.Interrupted {
		t.Errorf("got %d scenarios, interrupted %v, want those of the last round: %s", n, report.Interrupted, told(report))
	}
	p.want("pending", p.pending(), []string{})
}

// TestScripts: a script that takes the process down while it is loaded is named, and nothing was
// begun.
func TestScripts(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	scenarios := p.scenarios("{steps: [a]}")
	p.Scripts["steps.star"] += "\n" + bomb + "\n"
	report, err := p.supervisor(nil).Run(t.Context(), scenarios, runner.RunOptions{})
	if report != nil || runner.KindOf(err) != runner.KindLost {
		t.Errorf("got %v and %q of kind %q", report, err, runner.KindOf(err))
	}
	p.want("error", err, "scenario script tests/steps.star: the process that loaded it used more than 256 MiB of memory")

	p.Scripts["steps.star"] = "x = y"
	_, err = p.supervisor(nil).Run(t.Context(), scenarios, runner.RunOptions{})
	p.want("kind", runner.KindOf(err), runner.KindScript)
}

// TestStopsBefore: a context that is cancelled already starts nothing.
func TestStopsBefore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.plant(1, "", "pass")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.supervisor(nil).Replay(ctx, runner.ReplayOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("replay: got %v", err)
	}
	if _, err := p.supervisor(nil).Run(ctx, supervisor.Scenarios{}, runner.RunOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("run: got %v", err)
	}
	p.want("pending", p.pending(), []string{"x_scenarios_1_aaaaaaaa.star"})
}
