package versions

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// faults is a system that records its calls and fails at chosen ones.
type faults struct {
	durable.System

	mu    sync.Mutex
	calls []string
	fail  func(call int, op string) error // nil: go on. After errShort, a write writes half and reports no error.
}

var errShort = errors.New("short write")

func newFaults(under durable.System) *faults { return &faults{System: under} }

func (f *faults) try(op, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op+" "+name)
	if f.fail == nil {
		return nil
	}
	if err := f.fail(len(f.calls), op); err != nil {
		return fmt.Errorf("%s %s: %w", op, name, err)
	}
	return nil
}

func (f *faults) Create(dir *os.File, name string) (*os.File, error) {
	if err := f.try("create", name); err != nil {
		return nil, err
	}
	return f.System.Create(dir, name)
}

func (f *faults) OpenAppend(dir *os.File, name string) (*os.File, error) {
	if err := f.try("append", name); err != nil {
		return nil, err
	}
	return f.System.OpenAppend(dir, name)
}

func (f *faults) Write(file *os.File, b []byte) (int, error) {
	if err := f.try("write", filepath.Base(file.Name())); err != nil {
		n, writeErr := f.System.Write(file, b[:len(b)/2]) // what a full disk leaves
		if errors.Is(err, errShort) {
			return n, writeErr
		}
		return n, err
	}
	return f.System.Write(file, b)
}

func (f *faults) Chmod(file *os.File, mode fs.FileMode) error {
	if err := f.try("chmod", filepath.Base(file.Name())); err != nil {
		return err
	}
	return f.System.Chmod(file, mode)
}

func (f *faults) Sync(file *os.File) error {
	if err := f.try("sync", filepath.Base(file.Name())); err != nil {
		return err
	}
	return f.System.Sync(file)
}

func (f *faults) Close(file *os.File) error {
	// Closed all the same, as the kernel does; only the error is injected.
	return errors.Join(f.try("close", filepath.Base(file.Name())), f.System.Close(file))
}

func (f *faults) Rename(dir *os.File, from, to string) error {
	if err := f.try("rename", to); err != nil {
		return err
	}
	return f.System.Rename(dir, from, to)
}

func (f *faults) Replace(dir *os.File, from, to string) error {
	if err := f.try("replace", to); err != nil {
		return err
	}
	return f.System.Replace(dir, from, to)
}

func (f *faults) Unlink(dir *os.File, name string) error {
	if err := f.try("unlink", name); err != nil {
		return err
	}
	return f.System.Unlink(dir, name)
}

func (f *faults) Mkdir(dir *os.File, name string) error {
	if err := f.try("mkdir", name); err != nil {
		return err
	}
	return f.System.Mkdir(dir, name)
}

func (f *faults) Rmdir(dir *os.File, name string) error {
	if err := f.try("rmdir", name); err != nil {
		return err
	}
	return f.System.Rmdir(dir, name)
}

// record makes f forget its calls and choose new ones to fail.
func (f *faults) record(fail func(call int, op string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.fail = nil, fail
}

func (f *faults) recorded() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

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

// The order of operations is what makes a flush durable: each step needs the one before it on the disk.
func TestOrderOfOperations(t *testing.T) {
	d := testDir(t)
	parent := filepath.Base(filepath.Dir(d.path))
	d.path = filepath.Join(d.path, "deep")
	sys := newFaults(durable.OS{})
	d.system = sys
	e, err := d.Begin(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	check := func(step string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, normal(sys.recorded(), parent)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
		sys.record(nil)
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
	check("replace", "create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "replace FILE", "sync EXECUTION")
	if f, err = e.MarkExecuted(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	check("mark executed", "rename EXECUTED", "sync EXECUTION")
	if err := e.Remove(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	check("remove", "unlink EXECUTED", "sync EXECUTION")
	if f, err = e.Flush(t.Context(), "pod", []byte("z")); err != nil {
		t.Fatal(err)
	}
	sys.record(nil)
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
	sys.record(nil)
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
