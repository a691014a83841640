package clusterstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/versions"
)

// hold is a Lease that this process holds and renews.
type hold struct {
	store  *Store
	id     string
	holder holder
	lease  leaseState // its name and UID; the version is below
	stop   context.CancelFunc
	ended  chan struct{}
	lost   chan struct{}

	patching sync.Mutex // held while the Lease is changed

	mu      sync.Mutex
	version string
	good    time.Duration // uptime at the start of the last renewal that was answered
	deleted bool          // the Lease no longer exists
	asked   time.Duration // uptime when this holder last asked whether it still has the Lease, without an answer
	lostTo  error
	marks   []*versions.Mark
	saved   bool // the Lease has the marks
}

func (s *Store) hold(id string, h holder, l leaseState, began time.Duration) *hold {
	ctx, stop := context.WithCancel(context.Background())
	x := &hold{
		store: s, id: id, holder: h, lease: l, stop: stop, ended: make(chan struct{}), lost: make(chan struct{}),
		version: l.version, good: began, saved: true,
	}
	for _, m := range l.marks {
		x.marks = append(x.marks, &m)
	}
	go x.renewing(ctx)
	return x
}

func (x *hold) renewing(ctx context.Context) {
	defer close(x.ended)
	pause, said, saidGone := x.store.times.Renew, false, false
	for patience.Sleep(ctx, pause) == nil {
		limit, cancel := context.WithTimeout(ctx, x.store.times.attempt())
		err := x.renew(limit)
		cancel()
		switch {
		case ctx.Err() != nil || x.LostTo() != nil:
			return
		case err != nil:
			level, gone := slog.LevelWarn, x.isDeleted()
			if said && gone == saidGone { // once in each outage
				level = slog.LevelDebug
			}
			saidGone = gone
			x.store.log.Log(ctx, level, fmt.Sprintf("the Lease of execution %s was not renewed: %v", x.id, err))
			pause, said = x.store.times.Renew/5, true
		default:
			if said {
				x.store.log.Info(fmt.Sprintf("the Lease of execution %s is renewed again", x.id))
			}
			pause, said = x.store.times.Renew, false
		}
	}
}

// renew renews the Lease, and writes the marks of the requests that are under way into it.
func (x *hold) renew(ctx context.Context) error {
	began := versions.ThisMachine().Uptime
	if err := x.patch(ctx, kube.Object{"spec": kube.Object{"renewTime": microTime(time.Now())}}); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.good = max(x.good, began)
	return nil
}

// patch changes the Lease as its holder. It fails if another process has taken the Lease over,
// because that changes it.
func (x *hold) patch(ctx context.Context, change kube.Object) error {
	x.patching.Lock()
	defer x.patching.Unlock()
	x.noteMarks(change)
	for {
		x.mu.Lock()
		version := x.version
		x.mu.Unlock()
		patched, err := x.store.client.Patch(ctx, leases, x.store.options.Namespace, x.lease.name, change, kube.PatchOptions{UID: x.lease.uid, ResourceVersion: version})
		if err == nil {
			x.mu.Lock()
			x.version = kube.Meta(patched).GetResourceVersion()
			x.mu.Unlock()
			return nil
		}
		if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
			err = x.look(ctx)
		}
		if err != nil {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.saved = false
			return err
		}
	}
}

// look finds out whether this holder still has the Lease.
func (x *hold) look(ctx context.Context) error {
	object, err := x.store.client.Get(ctx, leases, x.store.options.Namespace, x.lease.name)
	if apierrors.IsNotFound(err) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.deleted = true
		return x.gone()
	}
	if err != nil {
		return err
	}
	l := readLease(object)
	switch {
	case l.free() && l.last == x.lease.last: // nobody has held it since
		x.mu.Lock()
		defer x.mu.Unlock()
		x.deleted = true
		return x.gone()
	case l.free(): // the process that took it over has ended, too
		return x.lose(readHolder(kube.Meta(object).GetAnnotations()[noteLast]))
	case l.uid != x.lease.uid || l.identity != x.holder.Identity:
		return x.lose(l.holder)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.version = l.version
	return nil
}

func (x *hold) isDeleted() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.deleted
}

// gone is the error of a hold whose Lease somebody deleted or emptied. No other process is known to
// have the execution, so this one still has to undo its changes. Any process can take it now, so
// this one makes no further change.
func (x *hold) gone() error {
	return fmt.Errorf("execution %s: its Lease was deleted or emptied by somebody: nothing shows that another process has not got it", x.id)
}

// lose ends the hold, because another process has the execution.
func (x *hold) lose(to holder) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lostTo == nil {
		x.lostTo = &versions.LostError{LockedError: versions.LockedError{Execution: x.id, Location: x.store.locate(x.id), Holder: to.Holder}}
		close(x.lost)
	}
	return x.lostTo
}

// Lost implements versions.Losable.
func (x *hold) Lost() <-chan struct{} { return x.lost }

// LostTo implements versions.Losable.
func (x *hold) LostTo() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lostTo
}

// alive returns nil if a change may be made now: no other process can have taken the execution
// over.
func (x *hold) alive() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.lostTo != nil:
		return x.lostTo
	case x.deleted:
		return x.gone()
	}
	if age := versions.ThisMachine().Uptime - x.good; age > x.store.times.Stop {
		return fmt.Errorf("execution %s: its Lease was last renewed %s ago, want less than %s: another process may have taken it over", x.id, age.Round(time.Second/10), x.store.times.Stop)
	}
	return nil
}

// confirm is alive, but may ask the API server. After the machine slept, it may find that this
// process still has the Lease.
func (x *hold) confirm(ctx context.Context) error {
	err := x.alive()
	if err == nil || x.LostTo() != nil {
		return err
	}
	x.mu.Lock()
	asked := x.asked
	x.mu.Unlock()
	now := versions.ThisMachine().Uptime
	if asked != 0 && now-asked < x.store.times.Renew { // and got no answer
		return err
	}
	limit, cancel := context.WithTimeout(ctx, x.store.times.Renew)
	defer cancel()
	if renewErr := x.renew(limit); renewErr != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.asked = versions.ThisMachine().Uptime
		if x.lostTo != nil {
			return x.lostTo
		}
		return fmt.Errorf("%w: %w", err, renewErr)
	}
	return nil
}

// Permit implements versions.Losable.
func (x *hold) Permit(ctx context.Context, undo bool) (check func() error, err error) {
	err = x.confirm(ctx)
	switch {
	case err == nil:
		return x.alive, nil
	case !undo || x.LostTo() != nil || ctx.Err() != nil:
		return nil, err
	}
	began := versions.ThisMachine().Uptime
	return func() error {
		err := x.alive()
		if err == nil || x.LostTo() != nil {
			return err
		}
		if age := versions.ThisMachine().Uptime - began; age > x.store.times.Settle { // treated as if the machine had slept
			return fmt.Errorf("execution %s: it was last asked %s ago whether another process has it", x.id, age.Round(time.Second/10))
		}
		return nil
	}, nil
}

// mark notes a request. The note is written into the Lease with the next renewal.
func (x *hold) mark(m versions.Mark) *versions.Mark {
	m = m.Completed()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.marks, x.saved = append(x.marks, &m), false
	return &m
}

func (x *hold) unmark(mark *versions.Mark) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.marks, x.saved = slices.DeleteFunc(x.marks, func(other *versions.Mark) bool { return other == mark }), false
}

func (x *hold) inFlight() []versions.Mark {
	x.mu.Lock()
	defer x.mu.Unlock()
	found := []versions.Mark{}
	for _, m := range x.marks {
		found = append(found, *m)
	}
	slices.SortStableFunc(found, func(a, b versions.Mark) int { return a.At.Compare(b.At) })
	return found
}

// mostMarks bounds the notes in a Lease. Without notes, any request may be under way.
const mostMarks = 64

// noteMarks adds the marks to a change of the Lease, unless the Lease has them already.
func (x *hold) noteMarks(change kube.Object) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.saved {
		return
	}
	now := time.Now()
	var left []versions.Mark
	for _, m := range x.marks {
		if m.Left(now) > 0 {
			left = append(left, *m)
		}
	}
	if len(left) > mostMarks {
		last := slices.MaxFunc(left, func(a, b versions.Mark) int { return a.Until.Compare(b.Until) })
		left = []versions.Mark{versions.Mark{At: now, Until: last.Until}.Completed()}
	}
	var note any // null removes it
	if len(left) > 0 {
		if text, err := json.Marshal(left); err == nil {
			note = string(text)
		}
	}
	meta, _ := change["metadata"].(kube.Object)
	if meta == nil {
		meta = kube.Object{}
		change["metadata"] = meta
	}
	notes, _ := meta["annotations"].(kube.Object)
	if notes == nil {
		notes = kube.Object{}
		meta["annotations"] = notes
	}
	notes[noteInFlight], x.saved = note, true
}

// releaseLimit bounds the release of a Lease. A Lease that is not released expires by itself.
const releaseLimit = 15 * time.Second

// release ends the hold. If gone is true, it deletes the Lease, too.
func (x *hold) release(gone bool) error {
	x.stop()
	<-x.ended
	if x.LostTo() != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
	defer cancel()
	var err error
	if gone {
		err = x.remove(ctx)
	} else {
		x.mu.Lock()
		x.saved = false
		x.mu.Unlock()
		err = x.patch(ctx, kube.Object{
			"metadata": kube.Object{"annotations": kube.Object{noteHolder: nil, noteLast: x.holder.String()}},
			"spec":     kube.Object{"holderIdentity": nil},
		})
	}
	var lost *versions.LostError
	x.mu.Lock()
	deleted := x.deleted
	x.mu.Unlock()
	if errors.As(err, &lost) || deleted {
		return nil // another process has it, or nobody has
	}
	if err != nil {
		return fmt.Errorf("the Lease of execution %s was not given back, and is over in %s: %w", x.id, x.store.times.Lease, err)
	}
	return nil
}

// remove deletes the Lease.
func (x *hold) remove(ctx context.Context) error {
	for {
		x.mu.Lock()
		version := x.version
		x.mu.Unlock()
		err := x.store.client.Delete(ctx, leases, x.store.options.Namespace, x.lease.name, kube.DeleteOptions{UID: x.lease.uid, ResourceVersion: version})
		if !apierrors.IsConflict(err) {
			if apierrors.IsNotFound(err) {
				return nil
			}
			return err
		}
		if err := x.look(ctx); err != nil {
			return err
		}
	}
}
