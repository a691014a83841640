package runner_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// bench is a store of hand-written version files, and a runner on it that has no
// cluster: what is tested here is which file is replayed when, and what it is called.
type bench struct {
	t     *testing.T
	store *versions.Memory
	*runner.Runner
	mu  sync.Mutex
	log bytes.Buffer
}

func (b *bench) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.Write(p)
}

func newBench(t *testing.T) *bench { return newBenchFor(t, time.Minute) }

// newBenchFor gives each file a time: short only where it is meant to run out.
func newBenchFor(t *testing.T, fileTimeout time.Duration) *bench {
	b := &bench{t: t, store: versions.NewMemory()}
	b.use(runner.Options{FileTimeout: fileTimeout})
	return b
}

// use makes the bench's runner anew, which logs to the bench.
func (b *bench) use(o runner.Options) {
	b.t.Helper()
	o.Log = slog.New(slog.NewTextHandler(b, nil))
	r, err := runner.New(b.store, o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.Runner = r
}

// execution writes files, oldest first, each from the body of its callable.
func (b *bench) execution(run string, files ...string) {
	b.t.Helper()
	x, err := b.store.Begin(b.t.Context(), run)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, file := range files {
		if _, err := x.Flush(b.t.Context(), "test_scenarios", []byte(file)); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		b.t.Fatal(err)
	}
}

// file is a version file whose callable has this body; undone marks it in the log.
func file(name, body string, undoes ...string) string {
	return fmt.Sprintf(`
rollback_version = RollbackVersion(format = 1, undoes = [%s])
rollback_content = RollbackContent(name = %q)

def rollback_callable(content):
    log.info("undoing " + content.name)
    %s

def verify_callable(content):
    pass
`, strings.Join(undoes, ", "), name, body)
}

func (b *bench) replay(sel runner.ReplayOptions) *runner.Report {
	b.t.Helper()
	report, err := b.Replay(b.t.Context(), sel)
	if err != nil {
		b.t.Fatal(err)
	}
	return report
}

// undone returns the names of the files whose callables were called, in their order.
func (b *bench) undone() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var names []string
	for _, m := range regexp.MustCompile(`undoing (\w+)`).FindAllStringSubmatch(b.log.String(), -1) {
		names = append(names, m[1])
	}
	return strings.Join(names, " ")
}

func outcomes(report *runner.Report) string {
	var all []string
	for _, r := range report.Results {
		all = append(all, string(r.Outcome))
	}
	return strings.Join(all, ", ")
}

func TestNewestFirst(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("a", "pass"), file("b", "pass"), file("c", "pass"))
	if got := outcomes(b.replay(runner.ReplayOptions{})); got != "restored, restored, restored" || b.undone() != "c b a" {
		t.Fatalf("got %s, undone %s", got, b.undone())
	}
	if got := outcomes(b.replay(runner.ReplayOptions{})); got != "" {
		t.Fatalf("a second replay did %s", got)
	}
}

func TestFailureBlocksOlder(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("a", "pass"), file("b", `fail("no luck")`), file("c", "pass"))
	b.execution("run-2", file("d", "pass"))
	report := b.replay(runner.ReplayOptions{})
	if got := outcomes(report); got != "restored, restored, failed, blocked" || b.undone() != "d c b" {
		t.Fatalf("got %s, undone %s", got, b.undone())
	}
	failed, blocked := report.Results[2], report.Results[3]
	if blocked.BlockedBy != failed.File.Location || !strings.Contains(failed.Reason(), "no luck") {
		t.Fatalf("blocked by %q, failed because of %q", blocked.BlockedBy, failed.Reason())
	}
	if got := outcomes(b.replay(runner.ReplayOptions{KeepGoing: true})); got != "failed, restored" {
		t.Fatalf("with keep-going: %s", got)
	}
}

func TestOutcomes(t *testing.T) {
	noVerify := strings.Split(file("a", "pass"), "def verify_callable")[0]
	for _, test := range []struct{ name, content, want string }{
		{"restored", file("a", "pass"), "restored"},
		{"already", file("a", `already_restored("it was")`), "already restored"},
		{"no verify", noVerify, "undone, not verified"},
		{"conflict", file("a", `conflict("not ours")`), "conflict"},
		{"caught conflict is none", file("a", `attempt(conflict, "not ours")`), "restored"},
		{"fail", file("a", `fail("x")`), "failed"},
		{"mistake", file("a", `[][1]`), "failed"},
		{"endless", file("a", `[1 for x in range(1000000000)]`), "failed"},
		{"verify fails", strings.Replace(file("a", "pass"), "    pass\n", `    fail("still there")`, 1), "failed"},
		{"verify fails for ever", strings.TrimSuffix(file("a", "log.info(\"x\")"), "    pass\n") + `    fail("still there")`, "failed"},
		{"no cluster", file("a", `k8s.get("Pod", "a", "b")`), "failed"},
		{"syntax", "def", "failed"},
		{"empty of names", "x = 1\n", "failed"},
		{"other format", strings.Replace(file("a", "pass"), "format = 1", "format = 2", 1), "failed"},
		{"content of another kind", strings.Replace(file("a", "pass"), "RollbackContent(", "struct(", 1), "failed"},
		{"callable is no function", file("a", "pass") + "\nrollback_callable = 1\n", "failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			if strings.HasPrefix(test.name, "verify fails") {
				b = newBenchFor(t, 200*time.Millisecond)
			}
			b.execution("run-1", test.content)
			report := b.replay(runner.ReplayOptions{})
			if got := outcomes(report); got != test.want {
				t.Fatalf("got %s (%v), want %s", got, report.Results[0].Err, test.want)
			}
			// The name is the state: pending unless it was undone.
			pending := len(b.replay(runner.ReplayOptions{}).Results) == 1
			if want := !runner.Outcome(test.want).Undone(); pending != want {
				t.Fatalf("pending afterwards: %v, want %v", pending, want)
			}
		})
	}
}

// Executions that changed the same thing are undone newest first, and one that
// fails blocks those before it; others are independent.
func TestSharedRefs(t *testing.T) {
	b := newBench(t)
	shared := `ref("Service", "shop", "default")`
	b.execution("run-1", file("oldest", "pass", shared))
	b.execution("run-2", file("other", "pass", `ref("Service", "other", "default")`))
	b.execution("run-3", file("newest", `fail("x")`, shared))
	report := b.replay(runner.ReplayOptions{Parallel: 4})
	got := map[string]runner.Outcome{}
	for _, r := range report.Results {
		got[r.RunUUID] = r.Outcome
	}
	if got["run-1"] != runner.Blocked || got["run-2"] != runner.Restored || got["run-3"] != runner.Failed {
		t.Fatalf("got %v", got)
	}
}

// A file that took a process down must not keep the others from being undone.
func TestSuspectGoesLast(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("old", "pass"))
	b.execution("run-2", file("deadly", "pass"))
	listing, err := b.store.List(t.Context(), versions.Filter{RunUUID: "run-2"})
	if err != nil {
		t.Fatal(err)
	}
	deadly := listing.Executions[0].Files[0]
	attempt := versions.Entry{Event: versions.EventAttempt, Execution: deadly.Execution, File: deadly.Name}
	if err := b.store.Append(t.Context(), attempt); err != nil {
		t.Fatal(err)
	}
	b.replay(runner.ReplayOptions{DryRun: true})
	b.replay(runner.ReplayOptions{})
	if b.undone() != "old deadly" {
		t.Fatalf("undone %s, want the deadly one last", b.undone())
	}
	// With an outcome it is one as any other.
	b.execution("run-3", file("older", "pass"))
	b.execution("run-4", file("newer", "pass"))
	b.replay(runner.ReplayOptions{})
	if b.undone() != "old deadly newer older" {
		t.Fatalf("undone %s", b.undone())
	}
}

func TestUnknownRun(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("a", "pass"))
	_, err := b.Replay(t.Context(), runner.ReplayOptions{RunUUID: "run"})
	var unknown *runner.UnknownRunError
	if !errors.As(err, &unknown) || len(unknown.Known) != 1 || unknown.Known[0] != "run-1" {
		t.Fatalf("got %v, want an unknown run that names run-1", err)
	}
}

// A verify is asked again while the cluster catches up.
func TestVerifyIsRepeated(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", `
rollback_version = RollbackVersion(format = 1)
rollback_content = RollbackContent(until = time.now() + time.parse_duration("150ms"))

def rollback_callable(content):
    pass

def verify_callable(content):
    if time.now() < content.until:
        fail("not yet")
`)
	if got := outcomes(b.replay(runner.ReplayOptions{})); got != "restored" {
		t.Fatalf("got %s", got)
	}
}

func TestLiveExecutionIsSkipped(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("a", "pass"))
	listing, err := b.store.List(t.Context(), versions.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := b.store.Open(t.Context(), listing.Executions[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if report := b.replay(runner.ReplayOptions{}); outcomes(report) != "skipped (live run)" || report.Refused() != 1 || b.undone() != "" {
		t.Fatalf("got %s, undone %q", outcomes(report), b.undone())
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if got := outcomes(b.replay(runner.ReplayOptions{})); got != "restored" {
		t.Fatalf("after the lock was given back: %s", got)
	}
}

func TestPlanChangesNothing(t *testing.T) {
	b := newBench(t)
	b.execution("run-1", file("a", `already_restored("it was")`), file("b", `fail("x")`))
	// As the replay would: what failed blocks what is older.
	if got := outcomes(b.replay(runner.ReplayOptions{DryRun: true})); got != "failed, blocked" {
		t.Fatalf("got %s", got)
	}
	report := b.replay(runner.ReplayOptions{DryRun: true, KeepGoing: true})
	if got := outcomes(report); got != "failed, planned" {
		t.Fatalf("got %s", got)
	}
	if actions := report.Results[1].Actions; len(actions) != 1 || actions[0] != "it was" {
		t.Fatalf("planned %q", actions)
	}
	listing, err := b.store.List(t.Context(), versions.Filter{PendingOnly: true})
	if err != nil || len(listing.Executions[0].Files) != 2 {
		t.Fatalf("a dry run changed the store: %+v, %v", listing, err)
	}
}
