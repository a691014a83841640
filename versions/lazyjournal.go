package versions

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// LazyJournal is a store whose journal can be written without waiting for the disk. A line survives the
// death of this process as soon as it is written. Only a power loss tells what waited for the disk from
// what did not, and then a few lines of history are lost: no state is in them.
type LazyJournal interface {
	// AppendLazily is [Store.Append], but for a power loss soon after it. The line is on stable storage
	// once SyncJournal has returned, and without that a moment later. An error may be about lines before.
	AppendLazily(ctx context.Context, e Entry) error

	// SyncJournal waits until the lines that were appended are on stable storage. Call it at the end of
	// what appends.
	SyncJournal(ctx context.Context) error
}

var _ LazyJournal = (*Dir)(nil)

// journalPause is how long lines wait for others before the disk is waited for, all together.
const journalPause = 100 * time.Millisecond

// lazyJournal is the journal while a process writes one line after the other.
type lazyJournal struct {
	syncing sync.Mutex // held by who waits for the disk; taken before mu

	mu     sync.Mutex
	open   *openJournal   // nil before the first line
	left   []*openJournal // that the path does not lead to any more, or that nobody needs
	dirty  bool           // open has lines that may not be on the disk
	timer  *time.Timer    // of a sync to come; nil for none
	failed error          // of a sync that nobody waited for

	pause time.Duration // for tests; 0 is journalPause
}

// openJournal is the file, and the versions directory that it is in.
type openJournal struct {
	root  *durable.Dir
	lines *durable.Lines
}

func (o *openJournal) close() error { return errors.Join(o.lines.Close(), o.root.Close()) }

// AppendLazily implements LazyJournal.
func (d *Dir) AppendLazily(ctx context.Context, e Entry) (err error) {
	defer exportChange(&err)
	line, err := newLine(ctx, e)
	if err != nil {
		return err
	}
	j := &d.lazy
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := d.openLazily(); err != nil {
		return err
	}
	// See appendAll.
	if d.doubtful.Swap(false) {
		line = append([]byte{'\n'}, line...)
	}
	if err := j.open.lines.Append(line); err != nil {
		d.doubtful.Store(true)
		return err
	}
	j.dirty = true
	if j.timer == nil {
		j.timer = time.AfterFunc(cmp.Or(j.pause, journalPause), func() { d.syncLazily(false) })
	}
	earlier := j.failed
	j.failed = nil
	return earlier
}

// openLazily opens the journal, unless that was done and it still has its name. lazy.mu is held.
func (d *Dir) openLazily() error {
	j := &d.lazy
	if j.open != nil {
		at, err := j.open.root.IsAt(d.path)
		if err == nil && at && j.open.lines.Current() {
			return nil
		}
		j.left, j.open = append(j.left, j.open), nil
	}
	root, err := d.open(true)
	if err != nil {
		return err
	}
	lines, err := root.OpenLines(journalName)
	if err != nil {
		return errors.Join(err, root.Close())
	}
	j.open = &openJournal{root, lines}
	return nil
}

// SyncJournal implements LazyJournal.
func (d *Dir) SyncJournal(context.Context) (err error) {
	defer exportChange(&err)
	d.syncLazily(true)
	d.lazy.mu.Lock()
	defer d.lazy.mu.Unlock()
	err, d.lazy.failed = d.lazy.failed, nil
	return err
}

// syncLazily waits for the disk. At the end, it closes the journal, too.
func (d *Dir) syncLazily(end bool) {
	j := &d.lazy
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	if j.timer != nil {
		j.timer.Stop()
		j.timer = nil
	}
	left, open := j.left, j.open
	j.left = nil
	if !j.dirty {
		open = nil
	}
	j.dirty = false
	if end && j.open != nil {
		if open == nil {
			left = append(left, j.open)
		}
		j.open = nil
	}
	j.mu.Unlock()
	var errs []error
	for _, o := range left {
		errs = append(errs, d.syncOpen(o), o.close())
	}
	if open != nil {
		errs = append(errs, d.syncOpen(open))
		if end {
			errs = append(errs, open.close())
		}
	}
	err := errors.Join(errs...)
	if err == nil {
		return
	}
	d.doubtful.Store(true)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed = errors.Join(j.failed, err)
}

// syncOpen waits for the disk as appendAll does.
func (d *Dir) syncOpen(o *openJournal) error {
	if err := o.lines.Sync(); err != nil {
		return err
	}
	return errors.Join(d.roots.sync(o.root), d.settle(o.root))
}
