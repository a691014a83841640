package versions

import (
	"path/filepath"
	"strings"
	"testing"

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
	d.system = sys
	e, err := d.Begin(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	check := func(step string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, normal(sys.Calls(), parent)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
		sys.Inject(nil)
	}
	grandparent := filepath.Base(filepath.Dir(filepath.Dir(filepath.Dir(d.path))))
	check("begin",
		"sync "+grandparent, // the deepest directory that was there may be somebody's who died before this
		"mkdir versions", "sync PARENT", "mkdir deep", "sync versions",
		"sync versions", // once a process: deep may have been somebody else's too
		"mkdir EXECUTION", "sync deep",
		"create .lock", "write .lock", "close .lock")
	f, err := e.Flush(t.Context(), "pod", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	check("flush", "create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "rename FILE", "sync EXECUTION")
	unmark, err := e.MarkInFlight(Mark{})
	if err != nil {
		t.Fatal(err)
	}
	check("mark", "create .inflight-1", "write .inflight-1", "close .inflight-1")
	if err := unmark(); err != nil {
		t.Fatal(err)
	}
	check("unmark", "unlink .inflight-1")
	if err := e.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("probe",
		"create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "rename TEMP", "sync EXECUTION",
		"unlink TEMP", "sync EXECUTION")
	if f, err = e.Replace(t.Context(), f, []byte("y")); err != nil {
		t.Fatal(err)
	}
	check("replace",
		"create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "rename ORIGINAL", "sync EXECUTION", // kept before it is changed
		"create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "replace FILE", "sync EXECUTION")
	if f, err = e.MarkExecuted(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	check("mark executed", "rename EXECUTED", "sync EXECUTION")
	if err := e.Remove(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	check("remove", "unlink EXECUTED", "sync EXECUTION", "unlink ORIGINAL")
	if f, err = e.Flush(t.Context(), "pod", []byte("z")); err != nil {
		t.Fatal(err)
	}
	sys.Inject(nil)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	check("close", "unlink .lock")
	if e, err = d.Open(t.Context(), f.Execution); err != nil {
		t.Fatal(err)
	}
	check("open", "create .lock", "write .lock", "close .lock", "sync deep", "sync EXECUTION")
	if err := e.Remove(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	sys.Inject(nil)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	check("close when empty", "unlink .lock", "rmdir EXECUTION")
	if err := d.Append(t.Context(), Entry{Event: EventFlushed}); err != nil {
		t.Fatal(err)
	}
	check("append", "append "+journalName, "write "+journalName, "sync "+journalName, "sync deep", "close "+journalName)
	another := &Dir{path: d.path, system: sys}
	if err := another.Append(t.Context(), Entry{Event: EventFlushed}); err != nil {
		t.Fatal(err)
	}
	check("first append of a process", "append "+journalName, "write "+journalName, "sync "+journalName, "sync deep", "close "+journalName, "sync versions")
}
