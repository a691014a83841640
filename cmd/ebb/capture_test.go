package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// TestCaptureLost: log lines that the copy can't take are counted, whichever process wrote them, and
// the log itself has them all.
func TestCaptureLost(t *testing.T) {
	c, err := newCapture(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var terminal strings.Builder
	open := func() *captured {
		w, err := openCaptured(&terminal, c.path)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	parent, worker := open(), open()
	write := func(w io.Writer, text string) {
		if _, err := io.WriteString(w, text); err != nil {
			t.Error(err)
		}
	}
	write(parent, "one\n")
	writable := worker.file
	if worker.file, err = os.Open(c.path); err != nil { // takes no write, as on a full disk
		t.Fatal(err)
	}
	write(worker, "two\n")
	write(worker, "three\nfour\n")
	if err := worker.file.Close(); err != nil {
		t.Error(err)
	}
	worker.file = writable
	write(worker, "five\n")
	log, err := c.end()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(log.lines, " "); got != "one five" || log.lost != 3 || log.cut != 0 {
		t.Errorf("got %q, %d lost, %d cut, want \"one five\", 3 and 0", got, log.lost, log.cut)
	}
	if got, want := terminal.String(), "one\ntwo\nthree\nfour\nfive\n"; got != want {
		t.Errorf("the log: got %q, want %q", got, want)
	}
}

// TestCaptureUncounted: where not even the number can be written, the log says so.
func TestCaptureUncounted(t *testing.T) {
	c, err := newCapture(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var terminal strings.Builder
	w, err := openCaptured(&terminal, c.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.path); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "one\n"); err != nil {
		t.Error(err)
	}
	if got := terminal.String(); !strings.HasPrefix(got, "one\nthe log in the report is incomplete: ") {
		t.Errorf("got %q, want the line and that it is not in the report", got)
	}
	if _, err := c.end(); err == nil {
		t.Error("end: got no error, want one: the copy is gone")
	}
}

// TestReportIncomplete: the log and the report say that lines are missing, and how many.
func TestReportIncomplete(t *testing.T) {
	dir := t.TempDir()
	var stderr strings.Builder
	o := &commonOptions{invocation: invocation{caller: &caller{}, stderr: &stderr}, LogFormat: "text", LogLevel: "info", NoColor: true}
	err := reported(o, dir, "Replay", func(*reporter) error {
		w, err := openCaptured(io.Discard, o.logCopy)
		if err != nil {
			return err
		}
		return w.lose(7)
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(dir + "/report.html")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"log": stderr.String(), "report": string(page)} {
		if want := "incomplete: 7 line(s) could not be written to it"; !strings.Contains(got, want) {
			t.Errorf("the %s has no %q:\n%s", name, want, got)
		}
	}
}
