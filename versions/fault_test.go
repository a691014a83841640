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
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// faults is the real system, which records its calls and fails at chosen ones.
type faults struct {
	durable.OS

	mu    sync.Mutex
	calls []string
	fail  func(call int, op string) error // nil: go on. After errShort, a write writes half and reports no error.
}

var errShort = errors.New("short write")

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
	return f.OS.Create(dir, name)
}

func (f *faults) OpenAppend(dir *os.File, name string) (*os.File, error) {
	if err := f.try("append", name); err != nil {
		return nil, err
	}
	return f.OS.OpenAppend(dir, name)
}

func (f *faults) Write(file *os.File, b []byte) (int, error) {
	if err := f.try("write", filepath.Base(file.Name())); err != nil {
		n, writeErr := f.OS.Write(file, b[:len(b)/2]) // what a full disk leaves
		if errors.Is(err, errShort) {
			return n, writeErr
		}
		return n, err
	}
	return f.OS.Write(file, b)
}

func (f *faults) Chmod(file *os.File, mode fs.FileMode) error {
	if err := f.try("chmod", filepath.Base(file.Name())); err != nil {
		return err
	}
	return f.OS.Chmod(file, mode)
}

func (f *faults) Sync(file *os.File) error {
	if err := f.try("sync", filepath.Base(file.Name())); err != nil {
		return err
	}
	return f.OS.Sync(file)
}

func (f *faults) Close(file *os.File) error {
	// Closed all the same, as the kernel does; only the error is injected.
	return errors.Join(f.try("close", filepath.Base(file.Name())), f.OS.Close(file))
}

func (f *faults) Rename(dir *os.File, from, to string) error {
	if err := f.try("rename", to); err != nil {
		return err
	}
	return f.OS.Rename(dir, from, to)
}

func (f *faults) Replace(dir *os.File, from, to string) error {
	if err := f.try("replace", to); err != nil {
		return err
	}
	return f.OS.Replace(dir, from, to)
}

func (f *faults) Unlink(dir *os.File, name string) error {
	if err := f.try("unlink", name); err != nil {
		return err
	}
	return f.OS.Unlink(dir, name)
}

func (f *faults) Mkdir(dir *os.File, name string) error {
	if err := f.try("mkdir", name); err != nil {
		return err
	}
	return f.OS.Mkdir(dir, name)
}

func (f *faults) Rmdir(dir *os.File, name string) error {
	if err := f.try("rmdir", name); err != nil {
		return err
	}
	return f.OS.Rmdir(dir, name)
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
func normal(calls []string, e Execution, parent string) []string {
	out := make([]string, len(calls))
	for i, call := range calls {
		op, name, _ := strings.Cut(call, " ")
		switch {
		case durable.IsTemp(name):
			name = "TEMP"
		case e != nil && name == e.ID():
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

var flushCalls = []string{"create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "rename FILE", "sync EXECUTION"}

var probeCalls = []string{"create TEMP", "write TEMP", "chmod TEMP", "sync TEMP", "close TEMP", "rename TEMP", "sync EXECUTION", "unlink TEMP", "sync EXECUTION"}

// The order of operations is what makes a flush durable: each step needs the one before it on the disk.
func TestOrderOfOperations(t *testing.T) {
	d := testDir(t)
	parent := filepath.Base(filepath.Dir(d.path))
	d.path = filepath.Join(d.path, "deep")
	sys := &faults{}
	d.system = sys
	e, err := d.Begin(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	check := func(step string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, normal(sys.recorded(), e, parent)); diff != "" {
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
	check("flush", flushCalls...)
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
	check("probe", probeCalls...)
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
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	check("close", "unlink .lock", "rmdir EXECUTION")
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

// Whatever fails in a flush, the flush says so, nothing is listed for it, what was there is whole, and the next flush works.
func TestFlushFaults(t *testing.T) {
	for call := 1; call <= len(flushCalls); call++ {
		for _, fault := range []error{syscall.ENOSPC, syscall.EIO, errShort} {
			if errors.Is(fault, errShort) && !strings.HasPrefix(flushCalls[call-1], "write") {
				continue
			}
			t.Run(fmt.Sprintf("%s/%v", flushCalls[call-1], fault), func(t *testing.T) {
				sys := &faults{}
				d := testDir(t)
				d.system = sys
				e, err := d.Begin(t.Context(), "run")
				if err != nil {
					t.Fatal(err)
				}
				earlier, err := e.Flush(t.Context(), "pod", []byte("earlier"))
				if err != nil {
					t.Fatal(err)
				}
				sys.record(func(n int, _ string) error {
					if n == call {
						return fault
					}
					return nil
				})
				if _, err := e.Flush(t.Context(), "pod", []byte("failing")); err == nil {
					t.Fatal("got no error")
				} else if !errors.Is(fault, errShort) && !errors.Is(err, fault) {
					t.Errorf("got %v, want %v", err, fault)
				}
				if got := normal(sys.recorded(), e, ""); !slices.Equal(got[:call], flushCalls[:call]) {
					t.Fatalf("got calls %q, want %q and so on", got, flushCalls[:call])
				}
				sys.record(nil)
				wantFiles(t, d, e, earlier)
				later, err := e.Flush(t.Context(), "pod", []byte("later"))
				if err != nil {
					t.Fatal(err)
				}
				wantFiles(t, d, e, later, earlier)
				if content, err := e.Read(t.Context(), earlier); err != nil || string(content) != "earlier" {
					t.Errorf("earlier: got %q, %v", content, err)
				}
				wantNames(t, d, e.ID(), ".lock", earlier.Name, later.Name)
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Whatever would fail in a flush fails in a probe, which says where, and leaves nothing.
func TestProbeFaults(t *testing.T) {
	for call := 1; call <= len(probeCalls); call++ {
		t.Run(probeCalls[call-1], func(t *testing.T) {
			sys := &faults{}
			d := testDir(t)
			d.system = sys
			e, err := d.Begin(t.Context(), "run")
			if err != nil {
				t.Fatal(err)
			}
			sys.record(func(n int, _ string) error {
				if n == call {
					return syscall.ENOSPC
				}
				return nil
			})
			if err := e.Probe(t.Context()); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), e.Location()) {
				t.Errorf("got %v, want ENOSPC and %q", err, e.Location())
			}
			if got := normal(sys.recorded(), e, ""); !slices.Equal(got[:call], probeCalls[:call]) {
				t.Fatalf("got calls %q, want %q and so on", got, probeCalls[:call])
			}
			sys.record(nil)
			if err := e.Probe(t.Context()); err != nil {
				t.Errorf("again: %v", err)
			}
			if err := e.Close(); err != nil { // removes what the fault kept the probe from removing
				t.Error(err)
			}
			if listing, err := d.List(t.Context(), Filter{}); err != nil || len(listing.Executions) != 0 {
				t.Errorf("got %+v, %v, want nothing", listing, err)
			}
		})
	}
}

// A process that dies at any call leaves every earlier file whole, and no part of a file under a file's name.
func TestFlushKilled(t *testing.T) {
	for call := 1; call <= len(flushCalls); call++ {
		t.Run(flushCalls[call-1], func(t *testing.T) {
			sys := &faults{}
			d := testDir(t)
			d.system = sys
			e, err := d.Begin(t.Context(), "run")
			if err != nil {
				t.Fatal(err)
			}
			earlier, err := e.Flush(t.Context(), "pod", []byte("earlier"))
			if err != nil {
				t.Fatal(err)
			}
			sys.record(func(n int, _ string) error {
				if n >= call { // dead: not even the cleaning up happens
					return syscall.EIO
				}
				return nil
			})
			if _, err := e.Flush(t.Context(), "pod", []byte("dying")); err == nil {
				t.Fatal("got no error")
			}
			dead, ok := e.(*dirExecution)
			if !ok {
				t.Fatalf("got %T", e)
			}
			if err := errors.Join(dead.dir.Close(), dead.root.Close()); err != nil { // as the kernel does
				t.Fatal(err)
			}
			heir := &Dir{path: d.path, system: durable.OS{}}
			next, err := heir.Open(t.Context(), e.ID())
			if err != nil {
				t.Fatal(err)
			}
			if holder, took := next.TookOver(); !took || holder.PID != os.Getpid() {
				t.Errorf("got %+v, %v, want to have taken over from PID %d", holder, took, os.Getpid())
			}
			want := []string{".lock", earlier.Name}
			files, err := next.Files(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				content, err := next.Read(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				if text := string(content); f.Name == earlier.Name && text != "earlier" || f.Name != earlier.Name && text != "dying" {
					t.Errorf("%q: got %q", f.Name, content)
				}
				if f.Name != earlier.Name { // the rename was done; only its fsync wasn't
					want = append(want, f.Name)
				}
			}
			if call < len(flushCalls) && len(want) != 2 {
				t.Errorf("got %q before the rename", want)
			}
			wantNames(t, d, e.ID(), want...)
			if err := next.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A begin that fails leaves nothing that is listed, and the next one works.
func TestBeginFaults(t *testing.T) {
	counter := &faults{}
	d := testDir(t)
	d.system = counter
	e, err := d.Begin(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	calls := normal(counter.recorded(), e, "")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for call, name := range calls {
		t.Run(name, func(t *testing.T) {
			d := testDir(t)
			d.system = &faults{fail: func(n int, _ string) error {
				if n == call+1 {
					return syscall.ENOSPC
				}
				return nil
			}}
			e, err := d.Begin(t.Context(), "run")
			if strings.HasSuffix(name, holderName) {
				// The note is for messages: a full disk must not stop an undo for it.
				if err != nil || len(e.Warnings()) != 1 {
					t.Fatalf("got %v, want a warning", err)
				}
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
			} else if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("got %v, want ENOSPC", err)
			}
			listing, err := d.List(t.Context(), Filter{})
			if err != nil || len(listing.Executions) != 0 {
				t.Errorf("got %+v, %v, want nothing", listing, err)
			}
			again, err := d.Begin(t.Context(), "run")
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestMarkExecutedFaults(t *testing.T) {
	for _, test := range []struct {
		op   string
		want State
	}{{"rename", Pending}, {"sync", Executed}} {
		sys := &faults{}
		d := testDir(t)
		d.system = sys
		e, err := d.Begin(t.Context(), "run")
		if err != nil {
			t.Fatal(err)
		}
		f, err := e.Flush(t.Context(), "pod", []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		sys.record(func(_ int, op string) error {
			if op == test.op {
				return syscall.EIO
			}
			return nil
		})
		got, err := e.MarkExecuted(t.Context(), f)
		if !errors.Is(err, syscall.EIO) || got.State != test.want {
			t.Errorf("%s: got %q, %v, want %q and EIO", test.op, got.State, err, test.want)
		}
		wantFiles(t, d, e, got)
		sys.record(nil)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A request whose mark can't be written must not be sent, and a mark that was not written must not be found.
func TestMarkFaults(t *testing.T) {
	for _, op := range []string{"create", "write", "close"} {
		sys := &faults{}
		d := testDir(t)
		d.system = sys
		e, err := d.Begin(t.Context(), "run")
		if err != nil {
			t.Fatal(err)
		}
		sys.record(func(_ int, got string) error {
			if got == op {
				return syscall.ENOSPC
			}
			return nil
		})
		if _, err := e.MarkInFlight(Mark{}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: got %v, want ENOSPC", op, err)
		}
		if got, err := e.InFlight(t.Context()); err != nil || len(got) != 0 {
			t.Errorf("%s: got %v, %v, want none", op, got, err)
		}
		sys.record(nil)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func wantFiles(t *testing.T, d *Dir, e Execution, want ...File) {
	t.Helper()
	files, err := e.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listing, err := d.List(t.Context(), Filter{})
	if err != nil || len(listing.Executions) != 1 || len(listing.Executions[0].Problems) != 0 {
		t.Fatalf("got %+v, %v, want one execution without problems", listing, err)
	}
	var names []string
	for _, f := range want {
		names = append(names, f.Name)
	}
	for _, got := range [][]File{files, listing.Executions[0].Files} {
		var gotNames []string
		for _, f := range got {
			gotNames = append(gotNames, f.Name)
		}
		if diff := cmp.Diff(names, gotNames); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	}
}

// wantNames checks everything in an execution's directory, with the bookkeeping.
func wantNames(t *testing.T, d *Dir, id string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(d.path, id))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("directory (-want +got):\n%s", diff)
	}
}
