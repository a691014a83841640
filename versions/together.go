package versions

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// together lets goroutines that wait for the disk at the same time wait once: what comes while the
// disk is waited for is done together afterwards.
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

// do returns once work was called with item, perhaps with others, and returns what work did. All calls
// pass the same work.
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

// roots waits for the entries of a versions directory.
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

// sync waits until the entries that root had at the call are on stable storage. Nothing is to be done
// where it has not changed since this process waited for it, which its change time tells if it was
// long ago by then: a later change has another one.
func (r *roots) sync(root *durable.Dir) error { return r.do(root, r.syncAll) }

func (r *roots) syncAll(all []*durable.Dir) error {
	var done []durable.Stamp
	for _, root := range all {
		// Each holds one of its own, and the directory may have been replaced meanwhile.
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
