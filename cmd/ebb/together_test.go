package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
)

// rounds of processes that meet by chance; EBB_MATRIX=all has many.
func rounds() int {
	if os.Getenv("EBB_MATRIX") == "all" {
		return 25
	}
	return 3
}

// alsoSteps writes a configuration NAME.yaml with another scenario of steps on the same versions directory.
func (w *world) alsoSteps(name string, steps ...string) {
	w.Helper()
	config, err := os.ReadFile(filepath.Join(w.dir, "config.yaml"))
	if err != nil {
		w.Fatal(err)
	}
	w.write(name+".yaml", "%s", strings.Replace(string(config), "steps.yaml", name+"-steps.yaml", 1))
	w.write(name+"-steps.yaml", "{namespace: %s, steps: [%s]}\n", w.namespace, strings.Join(steps, ", "))
}

// together runs commands at the same time and checks each one's exit code.
func (w *world) together(want string, commands ...[]string) {
	w.Helper()
	var all []*running
	for _, args := range commands {
		all = append(all, w.start("", args...))
	}
	for _, p := range all {
		if code := w.finish(p); !slices.Contains(strings.Fields(want), code) {
			w.Errorf("%q ended with %s, want one of %s:\n%s", p.Args[1:], code, want, w.said(p))
		}
	}
}

// TestRunsTogether: runs that share nothing but the versions directory don't notice each other;
// those that change the same never do so at the same time.
func TestRunsTogether(t *testing.T) {
	t.Parallel()
	w := newSteps(t, sandboxtest.Kubeconfig(t), "one", "two")
	w.alsoSteps("other", "three", "four")
	w.alsoSteps("same", "two", "three")
	run := func(config string) []string { return []string{"run", "--config", config} }
	replay := []string{"execute-rollback", "--config", "config.yaml", "--parallel", "4"}
	for range rounds() {
		w.together("0", run("config.yaml"), run("other.yaml"))
		w.checkRestored()
		// Of two that meet, one at least gives way, and its undo leaves the other's alone.
		w.together("0 4", run("config.yaml"), run("same.yaml"), run("other.yaml"))
		w.checkRestored()
		// A replay leaves a live run to itself: it fails neither, nor does it make it fail.
		w.together("0 4", run("config.yaml"), replay, replay)
		w.checkRestored()
		if t.Failed() {
			return
		}
	}
}

// TestLiveRunBesideReplay: a replay that looks while a run comes and goes does not get in its way.
func TestLiveRunBesideReplay(t *testing.T) {
	t.Parallel()
	w := newSteps(t, sandboxtest.Kubeconfig(t), "one", "two", "three", "four")
	for range rounds() {
		run := w.start("", "run", "--config", "config.yaml")
		for over := false; !over; {
			select {
			case <-run.ended:
				over = true
			default:
				w.together("0 4", []string{"execute-rollback", "--config", "config.yaml"})
			}
		}
		if code := w.finish(run); code != "0" {
			t.Fatalf("the run ended with %s:\n%s", code, w.said(run))
		}
		w.checkRestored()
	}
}

// TestReplaysTogether: of two replays at once each file is undone by one of them, once.
func TestReplaysTogether(t *testing.T) {
	t.Parallel()
	w := newSteps(t, sandboxtest.Kubeconfig(t))
	for round := range max(1, rounds()/3) {
		var files []string
		for i := range 4 {
			w.alsoSteps("killed", fmt.Sprintf("r%d-x%d-one", round, i), fmt.Sprintf("r%d-x%d-two", round, i))
			if code, said := w.ebb("kill@after-change:2", "run", "--config", "killed.yaml"); code != "killed" {
				t.Fatalf("run: exit code %s:\n%s", code, said)
			}
		}
		for file := range w.pending() {
			files = append(files, filepath.Base(file))
		}
		if len(files) != 8 {
			t.Fatalf("got %q pending, want 8", files)
		}
		replay := []string{"execute-rollback", "--config", "config.yaml", "--parallel", "3"}
		w.together("0 4", replay, replay)
		// Who came too late for an execution has left it to the other.
		w.checkRestored()
		outcomes := w.outcomes()
		for _, file := range files {
			if got := outcomes[file]; len(got) != 1 || got[0] != "restored" {
				t.Errorf("the outcomes of %s are %q, want it restored once", file, got)
			}
		}
	}
}

// outcomes returns the outcomes in the journal, by file.
func (w *world) outcomes() map[string][]string {
	w.Helper()
	journal, err := os.ReadFile(filepath.Join(w.dir, "versions", "journal.jsonl"))
	if err != nil {
		w.Fatal(err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(journal)) {
		var e versions.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			w.Errorf("journal: %v: %s", err, line)
		}
		if e.Event == versions.EventOutcome {
			found[e.File] = append(found[e.File], e.Outcome)
		}
	}
	return found
}

// TestLockNote: the lock is the kernel's. Whatever its note says, a holder that lives keeps it,
// stopped or not, and one that is dead loses it.
func TestLockNote(t *testing.T) {
	t.Parallel()
	for name, note := range map[string]string{
		"right":    "",
		"missing":  "-",
		"empty":    " ",
		"garbage":  "\x00{",
		"dead PID": `{"host": "here", "pid": 4194304, "since": "2020-01-01T00:00:00Z", "command": "ebb"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSteps(t, sandboxtest.Kubeconfig(t), "one")
			w.write("steps.yaml", "{namespace: %s, steps: [one], duration: 600}\n", w.namespace)
			run := w.start("", "run", "--config", "config.yaml")
			w.await(run, "waiting 10m: steps are done")
			lock := filepath.Join(filepath.Dir(w.newest()), ".lock")
			switch {
			case note == "-":
				if err := os.Remove(lock); err != nil {
					t.Fatal(err)
				}
			case note != "":
				if err := os.WriteFile(lock, []byte(strings.TrimSpace(note)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := run.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"execute-rollback", "--config", "config.yaml"}, {"exec", "--config", "config.yaml", w.newest()}} {
				if code, said := w.ebb("", args...); code != "4" || !strings.Contains(said, "is in use by ") {
					t.Errorf("%q while the run is stopped: exit code %s:\n%s", args, code, said)
				}
				if len(w.objects()) != 1 || len(w.pending()) != 1 {
					t.Fatalf("%q: the objects are %s and %q is pending, want one each", args, w.objects(), w.pending())
				}
			}
			w.kill(run)
			code, said := w.ebb("", "execute-rollback", "--config", "config.yaml")
			if code != "0" {
				t.Errorf("execute-rollback: exit code %s:\n%s", code, said)
			}
			if left := strings.Contains(said, "was left by "); left == (note == "-") {
				t.Errorf("that a lock was taken over, said: %v, with the note %s:\n%s", left, name, said)
			}
			w.checkRestored()
		})
	}
}
