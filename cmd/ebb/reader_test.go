package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// TestLogReaderEnds: who reads the log may end before ebb does, as head does, or the tee that
// gets the same Ctrl-C. SIGPIPE must not end a run that has changed something, nor an undo.
func TestLogReaderEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		duration string
		until    string // the last line that is read
		signal   syscall.Signal
		want     string
	}{
		"head":             {"1", "Running scenario", 0, "0"},
		"tee":              {"600", "waiting 10m: steps are done", syscall.SIGINT, "130"},
		"terminal, closed": {"600", "waiting 10m: steps are done", syscall.SIGHUP, "130"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSteps(t, sandboxtest.Kubeconfig(t), "one", "two")
			w.write("steps.yaml", "{namespace: %s, steps: [one, two], duration: %s}\n", w.namespace, c.duration)
			p := w.startUnread(c.until, "run", "--config", "config.yaml")
			if c.signal != 0 {
				if err := p.Process.Signal(c.signal); err != nil {
					t.Fatal(err)
				}
			}
			if code := w.finish(p); code != c.want {
				t.Errorf("got exit code %s, want %s", code, c.want)
			}
			w.checkRestored()
		})
	}
	t.Run("replay", func(t *testing.T) {
		t.Parallel()
		w := newSteps(t, sandboxtest.Kubeconfig(t), "one", "two")
		if code, said := w.ebb("kill@after-change:2", "run", "--config", "config.yaml"); code != "killed" {
			t.Fatalf("run: exit code %s:\n%s", code, said)
		}
		p := w.startUnread("Executing rollback version files", "execute-rollback", "--config", "config.yaml")
		// All is restored, but the results can't be printed: nobody may take that for done.
		if code := w.finish(p); code != "1" {
			t.Errorf("got exit code %s, want 1", code)
		}
		w.checkRestored()
	})
}

// startUnread starts ebb with its outputs in a pipe, from which nobody reads after a line that has until.
func (w *world) startUnread(until string, args ...string) *running {
	w.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	p := w.startWith(func(c *exec.Cmd) { c.Stdout, c.Stderr = write, write }, "", args...)
	if err := write.Close(); err != nil {
		w.Fatal(err)
	}
	lines := bufio.NewScanner(read)
	for !strings.Contains(lines.Text(), until) {
		if !lines.Scan() {
			w.Fatalf("%q ended without %q: %v", args, until, lines.Err())
		}
	}
	if err := read.Close(); err != nil {
		w.Fatal(err)
	}
	return p
}
