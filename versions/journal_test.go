package versions

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

func testDir(t testing.TB) *Dir {
	t.Helper()
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o700); err != nil { // whatever the umask
		t.Fatal(err)
	}
	d, err := NewDir(filepath.Join(parent, "versions"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A line that was torn off costs itself, not its neighbours.
func TestJournalSkipsTornLines(t *testing.T) {
	d := testDir(t)
	path := filepath.Join(d.path, journalName)
	appendRaw := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add := func(file string) {
		t.Helper()
		if err := d.Append(t.Context(), Entry{Event: EventFlushed, File: file}); err != nil {
			t.Fatal(err)
		}
	}
	add("one")
	appendRaw(`{"time":"2026-11-22T07:4`) // torn, and line 2
	add("two")
	appendRaw("\x00\x00\n\n{}\nnull\n[1]\n" + strings.Repeat("x", 3*maxLine) + "\n") // lines 4 to 9, one of them empty
	add("three")
	appendRaw(`{"event":"flu`)

	var files []string
	var bad []int
	for e, err := range d.Journal(t.Context(), Filter{}) {
		var line *JournalError
		switch {
		case err == nil:
			files = append(files, e.File)
		case errors.As(err, &line):
			bad = append(bad, line.Line)
		default:
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, files); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{2, 4, 6, 7, 8, 9, 11}, bad); diff != "" {
		t.Errorf("bad lines (-want +got):\n%s", diff)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, want 0600", info.Mode())
	}
}

// After an fsync that failed the kernel shows what the disk has not: the next line must not be lost
// with it.
func TestJournalAfterFailedSync(t *testing.T) {
	sys := errorfs.New(durable.OS{})
	d := testDir(t)
	d.system = sys
	add := func(file string) error { return d.Append(t.Context(), Entry{Event: EventFlushed, File: file}) }
	if err := add("one"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.path, journalName)
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	sys.Inject(func(_ int, op string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	})
	if err := add("lost"); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v, want EIO", err)
	}
	sys.Inject(nil)
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := add("two"); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(content[before.Size():after.Size()]) // as the disk has it
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	var files []string
	for e, err := range d.Journal(t.Context(), Filter{}) {
		if err == nil {
			files = append(files, e.File)
		} else if !errors.As(err, new(*JournalError)) {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"one", "two"}, files); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// A journal that is kept open is the one that the path leads to, and ours alone: whatever happened to it
// between two lines.
func TestLazyJournalIsWhereItsPathLeads(t *testing.T) {
	d := testDir(t)
	d.lazy.pause = time.Hour
	add := func(file string) error {
		t.Helper()
		return d.AppendLazily(t.Context(), Entry{Event: EventOutcome, File: file})
	}
	has := func(want ...string) {
		t.Helper()
		var files []string
		for e, err := range d.Journal(t.Context(), Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, e.File)
		}
		if diff := cmp.Diff(want, files); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
	}
	path := filepath.Join(d.path, journalName)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(add("one"))
	must(add("two"))
	has("one", "two")
	must(os.Rename(path, path+".1"))
	must(add("after it was rotated"))
	has("after it was rotated")
	must(os.WriteFile(path, []byte("{\"torn"), 0o600))
	must(add("after a torn line"))
	content, err := os.ReadFile(path)
	must(err)
	if lines := strings.Split(string(content), "\n"); len(lines) != 3 || lines[0] != `{"torn` {
		t.Errorf("after a torn line: got %q, want it on a line of its own", content)
	}
	must(os.Rename(d.path, d.path+"-old"))
	must(add("after the directory was replaced"))
	has("after the directory was replaced")
	must(os.Chmod(path, 0o666))
	if err := add("writable by all"); !errors.As(err, new(*InsecureError)) {
		t.Errorf("a journal that others can write: got %v, want an *InsecureError", err)
	}
	must(os.Chmod(path, 0o600))
	must(os.Chmod(d.path, 0o777))
	if err := add("in a directory that all can write"); !errors.As(err, new(*InsecureError)) {
		t.Errorf("a directory that others can write: got %v, want an *InsecureError", err)
	}
	must(os.Chmod(d.path, 0o700))
	must(add("later"))
	has("after the directory was replaced", "later")
	must(d.SyncJournal(t.Context()))
	if j := &d.lazy; j.open != nil || len(j.left) > 0 || j.dirty || j.timer != nil {
		t.Errorf("after the sync: got %+v, want nothing open", j)
	}
}

// What nobody waited for and failed is said with the next line. That line is not lost with it.
func TestLazyJournalAfterFailedSync(t *testing.T) {
	sys := errorfs.New(durable.OS{})
	d := testDir(t)
	d.system, d.lazy.pause = sys, time.Hour
	add := func() error { return d.AppendLazily(t.Context(), Entry{Event: EventOutcome}) }
	if err := add(); err != nil {
		t.Fatal(err)
	}
	sys.Inject(func(_ int, op string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	})
	d.syncLazily(false)
	sys.Inject(nil)
	if err := add(); !errors.Is(err, syscall.EIO) {
		t.Errorf("the next line: got %v, want EIO", err)
	}
	content, err := os.ReadFile(filepath.Join(d.path, journalName))
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(string(content), "\n"); len(lines) != 4 || lines[1] != "" {
		t.Errorf("got %q, want a line, an end of what the disk may lack, and a line", lines)
	}
	if err := errors.Join(add(), d.SyncJournal(t.Context())); err != nil {
		t.Errorf("after that: got %v, want nothing", err)
	}
}

func TestJournalParallelAppends(t *testing.T) {
	d := testDir(t)
	const workers, each = 8, 50
	message := strings.Repeat("m", 3000)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range each {
				if err := d.Append(t.Context(), Entry{Event: EventOutcome, Message: message}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	n := 0
	for e, err := range d.Journal(t.Context(), Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Message != message {
			t.Fatalf("entry %d: got another message", n)
		}
		n++
	}
	if n != workers*each {
		t.Errorf("got %d entries, want %d", n, workers*each)
	}
}

func TestEntryLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 3000, 12000)
		want := Entry{
			Event: "outcome", RunUUID: rapid.StringMatching(`[a-z]{1,63}`).Draw(t, "run"), File: text.Draw(t, "file"), Message: text.Draw(t, "message"), Outcome: text.Draw(t, "outcome"),
		}
		line, err := want.line()
		if err != nil {
			t.Fatal(err)
		}
		if len(line) > maxLine || strings.Count(string(line), "\n") != 1 {
			t.Fatalf("got %d bytes, %d lines, want one of at most %d", len(line), strings.Count(string(line), "\n"), maxLine)
		}
		got, err := parseEntry(line)
		if err != nil {
			t.Fatal(err)
		}
		if got.RunUUID != want.RunUUID {
			t.Fatalf("a short field was shortened: got %q, want %q", got.RunUUID, want.RunUUID)
		}
		if len(line) < maxLine/2 && got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add("{\"event\":\"flushed\"}\n{\"eve")
	f.Add("\n\n\x00")
	f.Add(strings.Repeat("x", maxLine) + "\n{\"event\":\"a\"}")
	f.Add("{\"event\":\"" + strings.Repeat("x", maxLine-13) + "\"}\n")
	dir := fastDir(f)
	f.Fuzz(func(t *testing.T, text string) {
		var want []Entry // those of intact lines
		lines := strings.SplitAfter(text, "\n")
		for _, line := range lines {
			if len(line) > maxLine || len(line) == maxLine && !strings.HasSuffix(line, "\n") {
				continue
			}
			if e, err := parseEntry([]byte(line)); err == nil {
				want = append(want, e)
			}
		}
		var got []Entry
		n := 0
		readJournal(t.Context(), strings.NewReader(text), func(e Entry, err error) bool {
			n++
			var line *JournalError
			if err != nil && (!errors.As(err, &line) || line.Line > len(lines)) {
				t.Errorf("got %v for %d lines", err, len(lines))
			}
			if err == nil {
				got = append(got, e)
			}
			return true
		})
		if n > len(lines) || !slices.Equal(got, want) {
			t.Errorf("got %d results of %d lines, entries %+v, want %+v", n, len(lines), got, want)
		}

		// Whatever is there, the next line can be read.
		path, err := os.MkdirTemp(dir, "journal")
		if err != nil {
			t.Fatal(err)
		}
		d := &Dir{path: path, system: lazy{}}
		if err := os.WriteFile(filepath.Join(path, journalName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		next := newEntry("next")
		if err := d.Append(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		got = nil
		for e, err := range d.Journal(t.Context(), Filter{}) {
			if err == nil {
				got = append(got, e)
			}
		}
		if want = append(want, next); !slices.Equal(got, want) {
			t.Errorf("after an append: got %+v, want %+v", got, want)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	})
}
