package versions

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// together groups the work of goroutines that wait for the disk: what arrives during one wait is
// done together in the next.
type together[T any] struct {
	turn sync.Mutex // held by who works

	mu   sync.Mutex
	next *batch[T] // takes more; nil for none
}

type batch[T any] struct {
	items []T
	done  chan struct{}
	err   error
}

var errNotDone = errors.New("not done: the process is ending")

// do returns after work was called with item, perhaps together with other items, and returns the
// error of work. All calls pass the same work.
func (t *together[T]) do(item T, work func([]T) error) error {
	t.mu.Lock()
	b, first := t.next, t.next == nil
	if first {
		b = &batch[T]{done: make(chan struct{})}
		t.next = b
	}
	b.items = append(b.items, item)
	t.mu.Unlock()
	if !first {
		<-b.done
		return b.err
	}
	t.turn.Lock()
	defer t.turn.Unlock()
	t.mu.Lock()
	t.next = nil
	t.mu.Unlock()
	b.err = errNotDone // if work panics
	defer close(b.done)
	b.err = work(b.items)
	return b.err
}

// roots syncs the entries of a versions directory.
type roots struct {
	together[*durable.Dir]
	quiet  time.Duration // see sync; 0 is quietFor
	synced durable.Stamp // of a directory whose entries are all on stable storage; held by who works
}

// How long ago a change must be for a later one to have another time: far more than the grain of any file
// system's times, and of those that a kernel keeps itself.
const (
	rootQuiet  = 5 * time.Second
	localQuiet = 100 * time.Millisecond
)

func quietFor(root *durable.Dir) time.Duration {
	if root.TrueTimes() {
		return localQuiet
	}
	return rootQuiet
}

// sync returns when the entries that root had at the call are on stable storage. It does nothing if
// the directory has not changed since the last sync of this process. The change time shows that, if
// it was long ago at that sync: a later change then has another time.
func (r *roots) sync(root *durable.Dir) error { return r.do(root, r.syncAll) }

func (r *roots) syncAll(all []*durable.Dir) error {
	var done []durable.Stamp
	for _, root := range all {
		// Each caller has a descriptor of its own, and the directory may have been replaced
		// meanwhile.
		stamp, err := root.Stamp()
		if err != nil {
			return err
		}
		if stamp == r.synced || slices.ContainsFunc(done, stamp.SameDir) {
			continue
		}
		began := time.Now()
		if err := root.Sync(); err != nil {
			return err
		}
		done = append(done, stamp)
		if stamp.Changed().Before(began.Add(-cmp.Or(r.quiet, quietFor(root)))) {
			r.synced = stamp
		}
	}
	return nil
}
