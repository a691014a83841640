package versions

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

// normal replaces what is random in calls.
func normal(calls []string, parent string) []string {
	out := make([]string, len(calls))
	for i, call := range calls {
		op, name, _ := strings.Cut(call, " ")
		_, _, notExecution := parseExecutionID(name)
		switch {
		case durable.IsTemp(name):
			name = "TEMP"
		case notExecution == nil:
			name = "EXECUTION"
		case strings.HasPrefix(name, originalPrefix):
			name = "ORIGINAL"
		case strings.HasSuffix(name, starSuffix):
			name = "FILE"
		case strings.HasSuffix(name, executedSuffix):
			name = "EXECUTED"
		case name == parent:
			name = "PARENT"
		}
		out[i] = op + " " + name
	}
	return out
}

// The order of operations is what makes a flush durable: each step needs the one before it on the
// disk.
func TestOrderOfOperations(t *testing.T) {
	d := testDir(t)
	parent := filepath.Base(filepath.Dir(d.path))
	d.path = filepath.Join(d.path, "deep")
	sys := errorfs.New(durable.OS{})
	d.system, d.roots.quiet = sys, time.Hour // however long a step takes
	e, err := d.Begin(t.Context(), "run")
	check := func(step string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		if diff := cmp.Diff(want, normal(sys.Calls(), parent)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
		sys.Inject(nil)
	}
	grandparent := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(d.path))))
	check("begin", err,
		"sync "+grandparent, // the deepest directory that was there may be somebody's who died before this
		"mkdir versions", "sync PARENT", "mkdir deep", "sync versions",
		"sync versions", // once a process: deep may have been somebody else's too
		"mkdir EXECUTION", "sync deep",
		"create .lock", "write .lock", "close .lock")
	f, err := e.Flush(t.Context(), "pod", []byte("x"))
	check("flush", err, "create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "rename FILE", "sync EXECUTION")
	unmark, err := e.MarkInFlight(Mark{})
	check("mark", err, "create .inflight-1", "write .inflight-1", "close .inflight-1")
	check("unmark", unmark(), "unlink .inflight-1")
	check("probe", e.Probe(t.Context()),
		"create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "rename TEMP", "sync EXECUTION",
		"unlink TEMP", "sync EXECUTION")
	f, err = e.Replace(t.Context(), f, []byte("y"))
	check("replace", err,
		"create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "rename ORIGINAL", "sync EXECUTION", // kept before it is changed
		"create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "replace FILE", "sync EXECUTION")
	f, err = e.MarkExecuted(t.Context(), f)
	check("mark executed", err, "rename EXECUTED", "sync EXECUTION")
	check("remove", e.Remove(t.Context(), f), "unlink EXECUTED", "sync EXECUTION", "unlink ORIGINAL")
	if f, err = e.Flush(t.Context(), "pod", []byte("z")); err != nil {
		t.Fatal(err)
	}
	sys.Inject(nil)
	check("close", e.Close(), "unlink .lock")
	d.noteAfter = time.Hour
	e, err = d.Open(t.Context(), f.Execution)
	check("open for a moment", err, "sync deep", "sync EXECUTION")
	if err := e.Close(); err != nil || len(sys.Calls()) > 0 {
		t.Errorf("close after a moment: got %v and %q, want nothing", err, sys.Calls())
	}
	d.noteAfter = 0
	e, err = d.Open(t.Context(), f.Execution)
	check("open", err, "sync deep", "sync EXECUTION", "create .lock", "write .lock", "close .lock")
	if err := e.Remove(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	sys.Inject(nil)
	check("close when empty", e.Close(), "unlink .lock", "rmdir EXECUTION")
	check("append", d.Append(t.Context(), Entry{Event: EventFlushed}), "append "+journalName, "write "+journalName, "sync "+journalName, "close "+journalName, "sync deep")
	d.lazy.pause = time.Hour
	check("append lazily", d.AppendLazily(t.Context(), Entry{Event: EventOutcome}), "append "+journalName, "write "+journalName)
	check("append lazily once more", d.AppendLazily(t.Context(), Entry{Event: EventOutcome}), "write "+journalName)
	check("sync the journal", d.SyncJournal(t.Context()), "sync "+journalName, "sync deep", "close "+journalName)
	if err := d.SyncJournal(t.Context()); err != nil || len(sys.Calls()) > 0 {
		t.Errorf("sync the journal again: got %v and %q, want nothing", err, sys.Calls())
	}
	another := &Dir{path: d.path, system: sys}
	check("first append of a process", another.Append(t.Context(), Entry{Event: EventFlushed}), "append "+journalName, "write "+journalName, "sync "+journalName, "close "+journalName, "sync deep", "sync versions")
}

// Who holds an execution for some time is named, and who has closed it is not.
func TestNoteComesLater(t *testing.T) {
	d := testDir(t)
	if err := flushOne(d, "run"); err != nil {
		t.Fatal(err)
	}
	d.noteAfter = time.Nanosecond
	listing, err := d.List(t.Context(), Filter{})
	if err != nil || len(listing.Executions) != 1 {
		t.Fatalf("got %v and %+v, want one", err, listing)
	}
	id := listing.Executions[0].ID
	for range 20 {
		e, err := d.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(d.path, id, holderName)); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("after the close: got %v, want no note", err)
		}
	}
	e, err := d.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	for limit := time.Now().Add(time.Minute); locked == nil || locked.Holder.PID != os.Getpid(); time.Sleep(time.Millisecond) {
		if err := d.Busy(t.Context(), id); !errors.As(err, &locked) || time.Now().After(limit) {
			t.Fatalf("got %v, want a *LockedError that names us", err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
