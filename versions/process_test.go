package versions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

// process is one user of the store.
type process struct {
	*life
	sys     *errorfs.FS
	store   *Dir
	held    []*dirExecution
	unmarks []func() error
	dead    bool
	// halfway says that cleaning up may fail, too, so that an error leaves more behind than it
	// should.
	halfway bool
}

var errDead = errors.New("the process is dead")

// dieAt makes a process die at its n-th call from now on.
func (p *process) dieAt(n int) {
	p.sys.Inject(func(call int, _ string) error {
		if call < n {
			return nil
		}
		p.dead = true
		return errDead
	})
}

// bury does what the kernel does with a dead process.
func (p *process) bury() error {
	var errs []error
	for _, e := range p.held {
		errs = append(errs, e.dir.Close(), e.root.Close())
	}
	p.held = nil
	if open := p.store.lazy.open; open != nil {
		_ = open.close() // the file system fails it, too
		p.store.lazy.open = nil
	}
	return errors.Join(errs...)
}

// failed passes an error on, as one of the process' own death if that is what it is.
func (p *process) failed(err error) error {
	if p.dead {
		return errDead
	}
	return err
}

func (p *process) begin() (*dirExecution, error) {
	e, err := p.store.Begin(context.Background(), "run")
	return p.holding(e, err)
}

func (p *process) holding(e Execution, err error) (*dirExecution, error) {
	if err != nil {
		return nil, p.failed(err)
	}
	held, ok := e.(*dirExecution)
	if !ok {
		return nil, fmt.Errorf("got a %T", e)
	}
	p.held = append(p.held, held)
	if p.dead {
		return nil, errDead
	}
	if !held.settled { // it has warned
		return held, nil
	}
	return held, p.settle(held.id)
}

func (p *process) open(id string) (*dirExecution, error) {
	e, err := p.store.Open(context.Background(), id)
	held, err := p.holding(e, err)
	if err != nil {
		return nil, err
	}
	return held, p.known.inFlight(held, false)
}

func (p *process) flush(e *dirExecution, size int) (File, error) {
	text := p.text(size)
	p.known.files = append(p.known.files, fileTruth{execution: e.id, contents: []string{text}, absent: true, pending: true})
	i := len(p.known.files) - 1
	p.rec.Note(*p.known.clone())
	f, err := e.Flush(context.Background(), "pod", []byte(text))
	if p.dead {
		return f, errDead
	}
	if err != nil {
		p.known.files[i].failed = !p.halfway
		return f, err
	}
	p.known.files[i].name, p.known.files[i].absent = f.Name, false
	return f, p.settle(e.id)
}

func (p *process) replace(e *dirExecution, f File, size int) error {
	text, known := p.text(size), &p.known.files[p.index(f)]
	known.contents = append(slices.Clone(known.contents), text)
	p.rec.Note(*p.known.clone())
	if _, err := e.Replace(context.Background(), f, []byte(text)); err != nil || p.dead {
		return p.failed(err)
	}
	known.contents = []string{text}
	return p.settle(e.id)
}

func (p *process) markExecuted(e *dirExecution, f File) (File, error) {
	known := &p.known.files[p.index(f)]
	known.executed = true
	p.rec.Note(*p.known.clone())
	got, err := e.MarkExecuted(context.Background(), f)
	if p.dead {
		return got, errDead
	}
	if err != nil {
		if _, statErr := os.Lstat(got.Location); statErr != nil {
			return got, fmt.Errorf("%q is not as far as the error says, %w: %w", got.Name, err, statErr)
		}
		return got, err
	}
	known.pending, known.absent = false, false
	return got, p.settle(e.id)
}

func (p *process) remove(e *dirExecution, files ...File) error {
	for _, f := range files {
		p.known.files[p.index(f)].absent = true
	}
	p.rec.Note(*p.known.clone())
	if err := e.Remove(context.Background(), files...); err != nil || p.dead {
		return p.failed(err)
	}
	for _, f := range files {
		known := &p.known.files[p.index(f)]
		known.pending, known.executed = false, false
	}
	return p.settle(e.id)
}

func (p *process) mark(e *dirExecution) (unmark func() error, err error) {
	p.serial++
	p.known.marks = append(p.known.marks, markTruth{execution: e.id, name: fmt.Sprint(p.serial)})
	i := len(p.known.marks) - 1
	p.rec.Note(*p.known.clone())
	release, err := e.MarkInFlight(Mark{Verb: "create", Kind: "Pod", Name: p.known.marks[i].name, Until: time.Now().Add(time.Hour)})
	if p.dead {
		return nil, errDead
	}
	if err != nil {
		p.known.marks[i].failed = !p.halfway
		return nil, err
	}
	p.known.marks[i].placed = true
	p.rec.Note(*p.known.clone())
	return func() error {
		p.known.marks[i].released = true
		p.rec.Note(*p.known.clone())
		return p.failed(release())
	}, nil
}

func (p *process) probe(e *dirExecution) error {
	err := e.Probe(context.Background())
	return p.failed(err)
}

// notes looks at all pending files, and leaves an index.
func (p *process) notes() error {
	_, err := p.store.Notes(context.Background(), Filter{}, wholeNotes)
	if err == nil {
		err = waitForClock(filepath.Dir(p.rec.Base()))
	}
	return p.failed(err)
}

func (p *process) append() error {
	p.serial++
	entry := newEntry(fmt.Sprintf("%d %s", p.serial, strings.Repeat("message ", p.serial%40)))
	p.known.lines = append(p.known.lines, lineTruth{entry: entry})
	i := len(p.known.lines) - 1
	p.rec.Note(*p.known.clone())
	if err := p.store.Append(context.Background(), entry); err != nil || p.dead {
		return p.failed(err)
	}
	p.known.lines[i].acked = true
	p.rec.Note(*p.known.clone())
	return p.known.read(p.store)
}

// appendLazily appends a line that a power loss may take until the journal is synced. Whoever reads the
// journal meanwhile sees it.
func (p *process) appendLazily() error {
	p.serial++
	entry := newEntry(fmt.Sprintf("%d lazily", p.serial))
	p.known.lines = append(p.known.lines, lineTruth{entry: entry})
	i := len(p.known.lines) - 1
	p.rec.Note(*p.known.clone())
	if err := p.store.AppendLazily(context.Background(), entry); err != nil || p.dead {
		return p.failed(err)
	}
	visible := p.known.clone()
	visible.lines[i].acked = true
	if err := visible.read(p.store); err != nil {
		return err
	}
	if err := p.store.SyncJournal(context.Background()); err != nil || p.dead {
		return p.failed(err)
	}
	p.known.lines[i].acked = true
	p.rec.Note(*p.known.clone())
	return p.known.read(p.store)
}

func (p *process) close(e *dirExecution) error {
	files, err := e.Files(context.Background())
	if err != nil && !errors.Is(err, ErrClosed) { // it may be closed again
		return err
	}
	if len(files) == 0 { // marks matter to those who undo files
		for i := range p.known.marks {
			p.known.marks[i].released = p.known.marks[i].released || p.known.marks[i].execution == e.id
		}
	}
	p.held = slices.DeleteFunc(p.held, func(other *dirExecution) bool { return other == e })
	err = e.Close()
	if p.dead {
		return errDead
	}
	return err
}

// heirs are what the next process may do after a death. Each of them waits for the disk where
// nobody after it does.
var heirs = []struct {
	name string
	do   func(p *process) error
}{
	{"writes to the journal", (*process).append},
	{"begins", func(p *process) error {
		e, err := p.begin()
		if err != nil {
			return err
		}
		if _, err := p.flush(e, 300); err != nil {
			return err
		}
		return p.close(e)
	}},
	{"replays", (*process).replay},
}

// replay goes through all executions and undoes what is pending.
func (p *process) replay() error {
	listing, err := p.store.List(context.Background(), Filter{})
	if err != nil {
		return err
	}
	for _, info := range listing.Executions {
		e, err := p.open(info.ID)
		if err != nil {
			return err
		}
		for _, f := range info.Files {
			if f.Replayable() {
				if _, err := p.markExecuted(e, f); err != nil {
					return err
				}
			}
		}
		if _, err := p.flush(e, 300); err != nil {
			return err
		}
		if err := p.close(e); err != nil {
			return err
		}
	}
	return nil
}

// wholeLife is two executions with everything that can be done to them.
func (p *process) wholeLife() error {
	if err := p.append(); err != nil {
		return err
	}
	if err := p.appendLazily(); err != nil {
		return err
	}
	first, err := p.begin()
	if err != nil {
		return err
	}
	if err := p.probe(first); err != nil {
		return err
	}
	var files []File
	for _, size := range []int{60, 3000, 700} {
		f, err := p.flush(first, size)
		if err != nil {
			return err
		}
		unmark, err := p.mark(first)
		if err != nil {
			return err
		}
		if err := errors.Join(p.append(), unmark()); err != nil {
			return err
		}
		files = append(files, f)
	}
	if err := p.replace(first, files[1], 900); err != nil {
		return err
	}
	if err := p.notes(); err != nil {
		return err
	}
	second, err := p.begin()
	if err != nil {
		return err
	}
	last, err := p.flush(second, 200)
	if err != nil {
		return err
	}
	if files[2], err = p.markExecuted(first, files[2]); err != nil {
		return err
	}
	if err := p.append(); err != nil {
		return err
	}
	if err := p.notes(); err != nil {
		return err
	}
	if files[1], err = p.markExecuted(first, files[1]); err != nil {
		return err
	}
	if err := p.remove(first, files...); err != nil {
		return err
	}
	if err := p.close(first); err != nil {
		return err
	}
	if _, err := p.mark(second); err != nil {
		return err
	}
	if _, err := p.markExecuted(second, last); err != nil {
		return err
	}
	if _, err := p.flush(second, 2000); err != nil {
		return err
	}
	return errors.Join(p.close(second), p.append())
}
