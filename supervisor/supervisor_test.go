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
	Kill     string // the point at which processes kill themselves
	Kills    int    // so many of them; 0: one
	Endless  bool   // scripts that are loaded after that take for ever
	Refuse   string // an error of build's
}

func (s settings) killed(n int) string { return fmt.Sprintf("%s.killed.%d", s.Versions, n) }

func build(s settings, w *supervisor.Worker) (*runner.Runner, error) {
	if s.Refuse != "" {
		return nil, &runner.RefusedError{Kind: runner.KindInsecure, Err: errors.New(s.Refuse), Advice: []string{"do that"}}
	}
	store, err := versions.NewDir(s.Versions)
	if err != nil {
		return nil, err
	}
	hooks := w.Hooks
	told := hooks.Reached
	hooks.Reached = func(p runner.Point) {
		if told != nil {
			told(p)
		}
		if string(p) != s.Kill {
			return
		}
		for n := range max(1, s.Kills) { // a file for each, which is there from then on
			f, err := os.OpenFile(s.killed(n), os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				continue
			}
			_ = f.Close()
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	scripts := fstest.MapFS{}
	_, err = os.Stat(s.killed(0))
	killed := err == nil
	for name, content := range s.Scripts {
		if s.Endless && killed {
			content += "\nx = [i for i in range(1 << 40) if False]\n"
		}
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

// untilSaid is a context that is cancelled once the log has a text n times.
func (p *place) untilSaid(text string, n int) context.Context {
	ctx, cancel := context.WithCancelCause(p.Context())
	go func() {
		for strings.Count(p.said(), text) < n {
			time.Sleep(5 * time.Millisecond)
		}
		cancel(errors.New("enough"))
	}()
	return ctx
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
	// One at a time: the second file is restored before the first one is begun.
	report, err := s.Replay(t.Context(), runner.ReplayOptions{Parallel: 1})
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
	ctx := p.untilSaid("undoing", 1)
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
