package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// signalCell is one process that is signalled on its way. A healthy API server and the
// whole grace leave no doubt about its exit code.
type signalCell struct {
	command  string // run, execute-rollback or exec
	triggers string
	want     string // exit codes: several where the signal and the end of the work are a race
}

func (c signalCell) String() string { return c.command + "," + c.triggers }

// signalCells are what is tried. Those that every run of the tests tries are the ones that
// differ; EBB_MATRIX=all makes it each signal at each point.
func signalCells() []signalCell {
	var cells []signalCell
	add := func(command, want string, triggers ...string) {
		for _, m := range triggers {
			cells = append(cells, signalCell{command, m, want})
		}
	}
	all := os.Getenv("EBB_MATRIX") == "all"
	for _, sig := range []string{"term", "int", "hup"} {
		at := func(points ...string) []string {
			var triggers []string
			for _, p := range points {
				// Twice, where the scenario's other step makes no difference.
				if all || sig == "term" && strings.HasSuffix(p, ":1") || p == "after-change:2" || p == "before-rename:2" {
					triggers = append(triggers, sig+"@"+p)
				}
			}
			return triggers
		}
		add("run", "130", at("before-flush:1", "before-flush:2", "rehearsal:1", "rehearsal:3", "after-flush:1", "after-flush:2", "after-change:1", "after-change:2",
			"before-undo:1", "before-undo:2", "during-undo:1", "during-undo:2", "before-rename:1", "after-rename:1")...)
		add("run", "130 0", at("before-rename:2", "after-rename:2")...)
		// The older file is not begun any more.
		add("execute-rollback", "3", at("before-undo:1", "during-undo:1")...)
		add("execute-rollback", "3 130", at("before-rename:1", "after-rename:1")...) // or it just is
		add("execute-rollback", "130", at("before-undo:2", "during-undo:2")...)
		add("execute-rollback", "130 0", at("before-rename:2", "after-rename:2")...)
		add("exec", "130", at("before-undo:1", "during-undo:1")...)
		add("exec", "130 0", at("before-rename:1", "after-rename:1")...)
	}
	add("run", "3", "int@after-change:2,int@during-undo:1", "term@after-change:1,term@before-rename:1")
	add("execute-rollback", "3", "term@before-undo:1,int@during-undo:1")
	// A terminal that closes sends two of them.
	add("run", "130", "hup@after-change:2,hup@during-undo:1")
	if all {
		for _, first := range []string{"int", "term", "hup"} {
			for _, second := range []string{"int", "term"} {
				add("run", "3", first+"@before-flush:2,"+second+"@before-undo:1", first+"@after-change:2,"+second+"@during-undo:2",
					first+"@after-flush:2,"+second+"@after-rename:1", first+"@during-undo:1,"+second+"@before-rename:1")
				add("execute-rollback", "3", first+"@during-undo:1,"+second+"@before-rename:1")
				add("exec", "3", first+"@before-undo:1,"+second+"@during-undo:1")
			}
			add("run", "130", first+"@after-change:1,hup@before-undo:1", first+"@before-undo:1,hup@during-undo:1")
		}
		for _, p := range []string{"before-undo", "during-undo", "before-rename", "after-rename"} {
			add("execute-rollback", "killed", "kill@"+p+":1", "kill@"+p+":2")
			add("exec", "killed", "kill@"+p+":1")
		}
		for _, p := range []string{"before-flush", "rehearsal", "after-flush", "after-change", "before-undo", "during-undo", "before-rename", "after-rename"} {
			add("run", "killed", "kill@"+p+":1", "kill@"+p+":2")
		}
	}
	return cells
}

// TestSignalMatrix signals a run and the replay of another at every point that matters. What is
// left has to be pending, and the exit code the truth; one replay then restores all.
func TestSignalMatrix(t *testing.T) {
	t.Parallel()
	cells := every(3, signalCells())
	t.Logf("figures: %d signals, each at one point", len(cells))
	for _, c := range cells {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			w := newSteps(t, sandboxtest.Kubeconfig(t), "one", "two")
			args := []string{c.command, "--config", "config.yaml"}
			if c.command != "run" {
				if code, said := w.ebb("kill@after-change:2", "run", "--config", "config.yaml"); code != "killed" {
					t.Fatalf("run: exit code %s:\n%s", code, said)
				}
			}
			older := ""
			if c.command == "exec" {
				older = w.oldest()
				args = append(args, w.newest())
			}
			code, said := w.ebb(c.triggers, args...)
			if !slices.Contains(strings.Fields(c.want), code) {
				t.Errorf("got exit code %s, want %s; it said:\n%s", code, c.want, said)
			}
			switch {
			case c.command != "exec" || code == "3" || code == "killed":
				w.checkEnded(code, said)
			default: // it had no business with the older file
				w.checkNamed()
				if files := w.pending(); len(files) != 1 || files[older] == "" {
					t.Errorf("got %q pending, want %s alone", files, older)
				}
				if left := w.objects(); len(left) != 1 {
					t.Errorf("left in the cluster: %s, want one of two", left)
				}
			}
			w.replay()
		})
	}
}

// newest and oldest return pending files: their names are those of their time.
func (w *world) newest() string { return slices.Max(w.names()) }
func (w *world) oldest() string { return slices.Min(w.names()) }

func (w *world) names() []string {
	w.Helper()
	var names []string
	for name := range w.pending() {
		names = append(names, name)
	}
	if len(names) == 0 {
		w.Fatal("nothing is pending")
	}
	return names
}
