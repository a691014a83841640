package versions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// truth is what somebody who used a store may count on. Whoever looks at the store later has to
// find it so.
type truth struct {
	files []fileTruth
	lines []lineTruth
	marks []markTruth
}

// fileTruth is a version file since its Flush began. Contents are never the same twice, so that a
// file is known by its content.
type fileTruth struct {
	execution string
	name      string   // as a pending one; "" until somebody has seen it
	contents  []string // it has one of these
	// Where it may be.
	absent, pending, executed bool
	failed                    bool // its Flush said that it is not there: only a power loss can bring it back
}

// lineTruth is a line of the journal since its Append began.
type lineTruth struct {
	entry Entry
	acked bool
}

// markTruth is a mark since its MarkInFlight began.
type markTruth struct {
	execution, name  string
	placed, released bool
	failed           bool // its MarkInFlight said that it is not there
}

func (t *truth) clone() *truth {
	return &truth{slices.Clone(t.files), slices.Clone(t.lines), slices.Clone(t.marks)} // contents are replaced, never changed
}

// allows finds the file that a listed one is, and says what is wrong with it.
func (t *truth) allows(f File, content string, powerLoss bool) (int, error) {
	name := strings.TrimSuffix(f.Name, executedSuffix)
	i := slices.IndexFunc(t.files, func(known fileTruth) bool {
		return known.execution == f.Execution && (known.name == name || known.name == "" && slices.Contains(known.contents, content))
	})
	if i < 0 {
		return 0, fmt.Errorf("%q was never flushed: %q", f.Name, shorten(content, 100))
	}
	known := t.files[i]
	switch {
	case !slices.Contains(known.contents, content):
		return i, fmt.Errorf("%q has %d bytes that were never written so: %q", f.Name, len(content), shorten(content, 100))
	case f.State == Pending && !known.pending || f.State == Executed && !known.executed:
		return i, fmt.Errorf("%q is %s, which it must not be: %+v", f.Name, f.State, known)
	case known.failed && !powerLoss:
		return i, fmt.Errorf("%q is there, although its flush failed", f.Name)
	}
	return i, nil
}

// seen is a file as it was found.
type seen struct {
	File
	content string
}

// look lists a store and compares it with the truth. The map has the index of each file's truth.
func (t *truth) look(d *Dir, powerLoss bool) (Listing, map[int]seen, error) {
	ctx := context.Background()
	found := map[int]seen{}
	listing, err := d.List(ctx, Filter{})
	if err != nil {
		return listing, nil, fmt.Errorf("list: %w", err)
	}
	problems := slices.Clone(listing.Problems)
	for _, x := range listing.Executions {
		problems = append(problems, x.Problems...)
		for _, f := range x.Files {
			content, err := d.Read(ctx, f)
			if err != nil {
				return listing, nil, fmt.Errorf("read: %w", err)
			}
			i, err := t.allows(f, string(content), powerLoss)
			if err != nil {
				return listing, nil, err
			}
			if twin, ok := found[i]; ok {
				return listing, nil, fmt.Errorf("%q is there as %q, too", f.Name, twin.Name)
			}
			found[i] = seen{f, string(content)}
			if info, err := os.Stat(f.Location); err != nil || info.Mode().Perm() != fileMode {
				return listing, nil, fmt.Errorf("%q has mode %v, %w, want %o", f.Name, info.Mode(), err, fileMode)
			}
		}
	}
	if len(problems) > 0 {
		return listing, nil, fmt.Errorf("problems: %+v", problems)
	}
	if err := checkNotes(d, found, powerLoss); err != nil {
		return listing, nil, err
	}
	for i, known := range t.files {
		if _, ok := found[i]; !ok && !known.absent {
			return listing, nil, fmt.Errorf("%q of %q is missing", known.name, known.execution)
		}
	}
	return listing, found, nil
}

// checkNotes compares what the index tells of the pending files with what is in them. After a power loss,
// this is another boot.
func checkNotes(d *Dir, found map[int]seen, powerLoss bool) error {
	if _, err := os.Lstat(filepath.Join(d.path, indexName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	boot := ""
	if powerLoss {
		boot = "after a power loss"
	}
	looking := indexing(d.path, d.system, boot)
	looking.index.from = math.MaxInt // it leaves none
	notes, err := looking.Notes(context.Background(), Filter{}, wholeNotes)
	if err != nil {
		return fmt.Errorf("notes: %w", err)
	}
	want := map[string]string{}
	for _, f := range found {
		if f.Replayable() {
			want[f.Key()] = f.content
		}
	}
	for _, n := range notes {
		if content, ok := want[n.Key()]; !ok || n.Unread || n.Note != content {
			return fmt.Errorf("notes of %q: got %q, want %q", n.Name, n.Note, content)
		}
		delete(want, n.Key())
	}
	if len(want) > 0 {
		return fmt.Errorf("notes: %d files are missing", len(want))
	}
	return nil
}

// read compares the journal with the truth.
func (t *truth) read(d *Dir) error {
	next := 0
	for got, err := range d.Journal(context.Background(), Filter{}) {
		if errors.As(err, new(*JournalError)) {
			continue // what a crash tore off
		}
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		for ; next < len(t.lines) && t.lines[next].entry != got; next++ {
			if t.lines[next].acked {
				return fmt.Errorf("journal: got %q, want %q first", got.Message, t.lines[next].entry.Message)
			}
		}
		if next == len(t.lines) {
			return fmt.Errorf("journal: got %+v, which nobody wrote after all that was there", got)
		}
		next++
	}
	for ; next < len(t.lines); next++ {
		if t.lines[next].acked {
			return fmt.Errorf("journal: %q is missing", t.lines[next].entry.Message)
		}
	}
	return nil
}

// inFlight compares the marks of an execution with the truth.
func (t *truth) inFlight(e Execution, powerLoss bool) error {
	marks, err := e.InFlight(context.Background())
	if err != nil {
		return fmt.Errorf("marks: %w", err)
	}
	found := map[string]bool{}
	for _, m := range marks {
		found[m.Name] = true
		i := slices.IndexFunc(t.marks, func(known markTruth) bool { return known.execution == e.ID() && known.name == m.Name })
		if i < 0 || t.marks[i].failed && !powerLoss {
			return fmt.Errorf("mark of %q: nobody made it", m.Name)
		}
	}
	for _, known := range t.marks {
		if known.execution == e.ID() && known.placed && !known.released && !found[known.name] && !powerLoss {
			return fmt.Errorf("mark of %q is missing", known.name)
		}
	}
	return nil
}

// lazy is the real system without waiting for the disk.
type lazy struct{ durable.OS }

func (lazy) Sync(*os.File) error { return nil }

// examine opens a store as the next process would, after a power loss or a mere kill, and says what
// is wrong: with what is there, or with what can be done from there on.
func (t *truth) examine(path string, powerLoss bool) error {
	ctx := context.Background()
	d := &Dir{path: path, system: lazy{}}
	listing, found, err := t.look(d, powerLoss)
	if err != nil {
		return err
	}
	if err := t.read(d); err != nil {
		return err
	}
	for _, info := range listing.Executions {
		if err := t.takeOver(ctx, d, info, powerLoss); err != nil {
			return fmt.Errorf("execution %q: %w", info.ID, err)
		}
	}
	if err := t.goOn(ctx, d); err != nil {
		return err
	}
	_, after, err := t.look(d, powerLoss)
	if err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	if len(after) != len(found) {
		return fmt.Errorf("afterwards: got %d files, want %d", len(after), len(found))
	}
	return nil
}

// otherClock makes this process another one, whose clock went back: see newLife.
func otherClock() { stamps.last.Store(0) }

// takeOver does what a replay does with an execution, and leaves the files as they are.
func (t *truth) takeOver(ctx context.Context, d *Dir, info ExecutionInfo, powerLoss bool) (err error) {
	otherClock()
	e, err := d.Open(ctx, info.ID)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if w := e.Warnings(); len(w) > 0 {
		return fmt.Errorf("got warnings %q", w)
	}
	entries, err := os.ReadDir(e.Location())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if durable.IsTemp(entry.Name()) {
			return fmt.Errorf("%q is still there", entry.Name())
		}
	}
	if err := t.inFlight(e, powerLoss); err != nil {
		return err
	}
	files, err := e.Files(ctx)
	if err != nil {
		return err
	}
	if !slices.Equal(files, info.Files) {
		return fmt.Errorf("got files %+v, listed were %+v", files, info.Files)
	}
	return flushAfter(ctx, e, files)
}

// flushAfter does what a scenario does with an execution that may have files, and leaves it as it
// was.
func flushAfter(ctx context.Context, e Execution, files []File) error {
	f, err := e.Flush(ctx, "after", []byte("after"))
	if err != nil {
		return err
	}
	if len(files) > 0 && f.Timestamp <= files[0].Timestamp {
		return fmt.Errorf("%q, the newest, does not come after %q", f.Name, files[0].Name)
	}
	if f, err = e.Replace(ctx, f, []byte("replaced")); err != nil {
		return err
	}
	if f, err = e.MarkExecuted(ctx, f); err != nil {
		return err
	}
	if content, err := e.Read(ctx, f); err != nil || string(content) != "replaced" {
		return fmt.Errorf("%q: got %q, %w", f.Name, content, err)
	}
	return e.Remove(ctx, f)
}

// goOn begins an execution after those that are there, and adds a line to the journal.
func (t *truth) goOn(ctx context.Context, d *Dir) error {
	listing, err := d.List(ctx, Filter{})
	if err != nil {
		return err
	}
	executions := listing.Executions // without those that were empty
	otherClock()
	e, err := d.Begin(ctx, "run-after")
	if err != nil {
		return err
	}
	if timestamp, _, err := parseExecutionID(e.ID()); err != nil || len(executions) > 0 && timestamp <= executions[0].Timestamp {
		return errors.Join(fmt.Errorf("%q, the newest, does not come after %q", e.ID(), executions[0].ID), err, e.Close())
	}
	if err := errors.Join(flushAfter(ctx, e, nil), e.Close()); err != nil {
		return err
	}
	line := newEntry("after")
	if err := d.Append(ctx, line); err != nil {
		return err
	}
	longer := &truth{lines: append(slices.Clone(t.lines), lineTruth{line, true})}
	return longer.read(d)
}
