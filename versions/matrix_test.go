package versions

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/crashfs"
	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

// operations are all that change something. Each prepares a process, and returns what is to fail:
// it tells its warnings, and may be tried again.
var operations = []struct {
	name     string
	harmless []string
	prepare  func(p *process) (func() ([]string, error), error)
}{
	{"begin the first", note, func(p *process) (func() ([]string, error), error) { return p.beginning, nil }},
	{"begin another", note, func(p *process) (func() ([]string, error), error) {
		_, _, err := p.flushed()
		return p.beginning, err
	}},
	{"open", opening, func(p *process) (func() ([]string, error), error) {
		e, _, err := p.flushed()
		if err == nil {
			err = p.close(e)
		}
		return p.opening(e), err
	}},
	{"take over", opening, func(p *process) (func() ([]string, error), error) {
		dying := p.start()
		e, _, err := dying.flushed()
		if err == nil {
			dying.dieAt(3)
			_, err = dying.flush(e, 100)
		}
		if !errors.Is(err, errDead) {
			return nil, err
		}
		return p.opening(e), dying.bury()
	}},
	{"flush", nil, onExecution(func(p *process, e *dirExecution, _ File) error {
		_, err := p.flush(e, 300)
		return err
	})},
	{"flush into what a dead one made", nil, func(p *process) (func() ([]string, error), error) {
		e, err := p.unsettled()
		return func() ([]string, error) {
			_, err := p.flush(e, 300)
			return nil, err
		}, err
	}},
	{"replace", nil, onExecution(func(p *process, e *dirExecution, f File) error { return p.replace(e, f, 400) })},
	{"mark executed", nil, func(p *process) (func() ([]string, error), error) {
		e, f, err := p.flushed()
		return func() ([]string, error) {
			if f.State == Executed {
				return nil, nil // as the error said that it is
			}
			f, err = p.markExecuted(e, f)
			return nil, err
		}, err
	}},
	{"remove", nil, onExecution(func(p *process, e *dirExecution, f File) error { return p.remove(e, f) })},
	{"mark", nil, onExecution(func(p *process, e *dirExecution, _ File) error {
		_, err := p.mark(e)
		return err
	})},
	{"unmark", nil, func(p *process) (func() ([]string, error), error) {
		e, _, err := p.flushed()
		if err != nil {
			return nil, err
		}
		unmark, err := p.mark(e)
		return func() ([]string, error) { return nil, unmark() }, err
	}},
	{"probe", nil, onExecution(func(p *process, e *dirExecution, _ File) error { return p.probe(e) })},
	{"close", nil, onExecution(func(p *process, e *dirExecution, _ File) error { return p.close(e) })},
	{"close when empty", nil, func(p *process) (func() ([]string, error), error) {
		e, err := p.begin()
		return func() ([]string, error) { return nil, p.close(e) }, err
	}},
	{"append the first", nil, func(p *process) (func() ([]string, error), error) {
		return func() ([]string, error) { return nil, p.append() }, nil
	}},
	{"append another", nil, func(p *process) (func() ([]string, error), error) {
		return func() ([]string, error) { return nil, p.append() }, p.append()
	}},
}

// Calls that may fail without failing an operation, which warns. Who holds a lock is for messages
// only; and an undo has to go on when the disk is full, read-only or broken: nothing of this kind
// keeps an execution from being opened.
var (
	note    = []string{"create .lock", "write .lock", "close .lock", "unlink .lock"}
	opening = append([]string{"unlink TEMP", "sync versions", "sync EXECUTION"}, note...)
)

// flushed begins an execution with one file.
func (p *process) flushed() (*dirExecution, File, error) {
	e, err := p.begin()
	if err != nil {
		return nil, File{}, err
	}
	f, err := p.flush(e, 200)
	return e, f, err
}

// unsettled opens an execution whose entry is not on the disk: its maker died too soon, and the
// disk fails just now.
func (p *process) unsettled() (*dirExecution, error) {
	if err := p.append(); err != nil {
		return nil, err
	}
	dying := p.start()
	made := false
	dying.sys.Inject(func(_ int, op string) error {
		if dying.dead = made; dying.dead {
			return errDead
		}
		made = op == "mkdir"
		return nil
	})
	if _, err := dying.begin(); !errors.Is(err, errDead) {
		return nil, err
	}
	listing, err := p.store.List(context.Background(), Filter{})
	if err != nil || len(listing.Executions) != 1 {
		return nil, fmt.Errorf("got %d executions, %w, want 1", len(listing.Executions), err)
	}
	p.sys.Inject(func(_ int, op string) error {
		if op == "sync" {
			return syscall.EIO
		}
		return nil
	})
	e, err := p.open(listing.Executions[0].ID)
	p.sys.Inject(nil)
	return e, err
}

func (p *process) beginning() ([]string, error) {
	e, err := p.begin()
	if err != nil {
		return nil, err
	}
	return e.Warnings(), nil
}

func (p *process) opening(e *dirExecution) func() ([]string, error) {
	return func() ([]string, error) {
		opened, err := p.open(e.id)
		if err != nil {
			return nil, err
		}
		return opened.Warnings(), nil
	}
}

func onExecution(do func(p *process, e *dirExecution, f File) error) func(p *process) (func() ([]string, error), error) {
	return func(p *process) (func() ([]string, error), error) {
		e, f, err := p.flushed()
		return func() ([]string, error) { return nil, do(p, e, f) }, err
	}
}

// Whatever call fails in whatever operation: the operation says so, what was acknowledged is there
// and whole, nothing else is, and when the fault is gone, the operation works. Then the power
// fails.
func TestFaults(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			c := newCrashes(t)
			c.Each, c.OneOf = soak(t), max(20/soak(t), 1)
			dir := fastDir(t)
			struck, err := misfortune{}.strike(c, dir, op.harmless, op.prepare)
			if err != nil || len(struck) > 0 {
				t.Fatalf("without a fault: %v", err)
			}
			for _, fault := range []error{syscall.ENOSPC, syscall.EIO, syscall.EROFS, syscall.EDQUOT, errorfs.ErrShort} {
				for _, once := range []bool{true, false} {
					for call := 1; ; call++ {
						struck, err := misfortune{call, fault, once}.strike(c, dir, op.harmless, op.prepare)
						if err != nil {
							t.Fatalf("%v at %q: %v", fault, struck, err)
						}
						if len(struck) == 0 {
							break
						}
					}
				}
			}
		})
	}
}

// misfortune is a fault at one call, or from that call on until the operation ends. A short write
// happens at the call or the next write after it.
type misfortune struct {
	call  int // 0: never
	fault error
	once  bool
}

// strike lets an operation fail, checks what it says and leaves, and tries it again. It returns the
// calls that failed.
func (m misfortune) strike(c *crashfs.Crasher, dir string, harmless []string, prepare func(p *process) (func() ([]string, error), error)) (struck []string, err error) {
	l, err := newLife(dir, nil)
	if err != nil {
		return nil, err
	}
	p := l.start()
	run, err := prepare(p)
	if err != nil {
		return nil, err
	}
	struck, failed, err := m.fail(p, harmless, run)
	if err != nil {
		return struck, err
	}
	from := l.rec.Len() - 1
	if failed {
		if _, err := run(); err != nil {
			return struck, fmt.Errorf("again: %w", err)
		}
	}
	if err := p.check(); err != nil {
		return struck, fmt.Errorf("again: %w", err)
	}
	for _, e := range slices.Clone(p.held) {
		if err := p.close(e); err != nil {
			return struck, err
		}
	}
	if err := p.check(); err != nil {
		return struck, fmt.Errorf("closed: %w", err)
	}
	return struck, l.examine(c, from)
}

// fail runs an operation in misfortune and checks what it says. failed tells whether it said that
// it failed.
func (m misfortune) fail(p *process, harmless []string, run func() ([]string, error)) (struck []string, failed bool, err error) {
	before, err := p.executions()
	if err != nil {
		return nil, false, err
	}
	p.halfway = !m.once
	p.sys.Inject(func(call int, op string) error {
		hit := m.call > 0 && call >= m.call && (!m.once || len(struck) == 0)
		if !hit || errors.Is(m.fault, errorfs.ErrShort) && op != "write" {
			return nil
		}
		struck = append(struck, p.sys.Call(call))
		return m.fault
	})
	warnings, err := run()
	p.halfway = false
	p.sys.Inject(nil)

	mayPass := !slices.ContainsFunc(normal(struck, ""), func(call string) bool { return !slices.Contains(harmless, call) })
	switch {
	case err == nil && len(struck) > 0 && (!mayPass || len(warnings) == 0):
		return struck, false, fmt.Errorf("got no error, warnings %q", warnings)
	case err != nil && mayPass:
		return struck, true, fmt.Errorf("got %w, want a warning", err)
	case err != nil && !errors.Is(m.fault, errorfs.ErrShort) && !errors.Is(err, m.fault):
		return struck, true, fmt.Errorf("got %w, want %w", err, m.fault)
	}
	temps, globErr := filepath.Glob(filepath.Join(p.path, "*", ".tmp-*"))
	if globErr != nil || m.once && len(temps) > 0 && !slices.Contains(normal(struck, ""), "unlink TEMP") {
		return struck, err != nil, errors.Join(globErr, fmt.Errorf("%q are left", temps))
	}
	after, lookErr := p.executions()
	if lookErr == nil && err != nil && m.once && after > before {
		lookErr = fmt.Errorf("got %d executions, want %d as before", after, before)
	}
	return struck, err != nil, errors.Join(lookErr, p.check())
}

// executions counts them.
func (p *process) executions() (int, error) {
	listing, err := (&Dir{path: p.path, system: durable.OS{}}).List(context.Background(), Filter{})
	return len(listing.Executions), err
}

// check compares the store as it is with the truth.
func (p *process) check() error {
	d := &Dir{path: p.path, system: durable.OS{}}
	_, _, err := p.known.look(d, false)
	if err == nil {
		err = p.known.read(d)
	}
	for _, e := range p.held {
		err = errors.Join(err, p.known.inFlight(e, false))
	}
	return err
}

// What needs room on a full disk is a mark, and nothing else of an undo.
func TestUndoOnFullDisk(t *testing.T) {
	l, err := newLife(fastDir(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := l.start()
	e, done, err := p.flushed()
	if err != nil {
		t.Fatal(err)
	}
	gone, err := p.flush(e, 100)
	if err == nil {
		err = p.close(e)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.sys.Inject(func(_ int, op string) error {
		if slices.Contains([]string{"create", "write", "mkdir", "append"}, op) {
			return syscall.ENOSPC
		}
		return nil
	})
	if e, err = p.open(e.id); err != nil {
		t.Fatal(err)
	}
	if _, err := p.mark(e); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("mark: got %v, want ENOSPC", err)
	}
	if _, err := p.markExecuted(e, done); err != nil {
		t.Error(err)
	}
	if err := p.remove(e, gone); err != nil {
		t.Error(err)
	}
	if err := p.append(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("append: got %v, want ENOSPC", err)
	}
	if err := p.close(e); err != nil {
		t.Error(err)
	}
	if err := p.check(); err != nil {
		t.Error(err)
	}
}
