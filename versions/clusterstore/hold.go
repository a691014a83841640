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
	lease  leaseState // its name and UID, which mu guards; the version is below
	start  func()     // starts the renewals
	stop   context.CancelFunc
	ended  chan struct{}
	lost   chan struct{}

	// recheck is called after a renewal when the store may lack files of this holder's.
	recheck func(context.Context) error

	patching sync.Mutex // held while the Lease is changed

	mu      sync.Mutex
	version string
	good    time.Duration // uptime at the start of the last renewal that was answered
	deleted bool          // the Lease no longer exists
	orphan  bool          // the Lease did not exist, or had no holder, for some time
	doubt   bool          // the store may be older than what this holder knows
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
	x.start = func() { go x.renewing(ctx) }
	return x
}

func (x *hold) renewing(ctx context.Context) {
	defer close(x.ended)
	pause, said, saidGone, told := x.store.times.Renew, false, false, false
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
			x.suspect()
		default:
			if said {
				x.store.log.Info(fmt.Sprintf("the Lease of execution %s is renewed again", x.id))
			}
			pause, said = x.store.times.Renew, false
		}
		switch err := x.settle(ctx, err); {
		case err == nil:
			told = false
		case errors.Is(err, errBusy):
			pause = x.store.times.Renew / 5
		default:
			if !told {
				x.store.log.Warn(fmt.Sprintf("execution %s: its version files in the store can't be completed: %v", x.id, err))
			}
			pause, told = x.store.times.Renew/5, true
		}
	}
}

// suspect notes that the store may lack files that this holder wrote. Whoever restores a store from a
// backup stops its API server, or brings the Lease of then back.
func (x *hold) suspect() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.doubt = true
}

// settle rechecks the store if that is in doubt. It returns the error if that could not be done yet.
func (x *hold) settle(ctx context.Context, renewErr error) error {
	x.mu.Lock()
	doubt, deleted := x.doubt, x.deleted
	x.mu.Unlock()
	if !doubt || renewErr != nil && !deleted { // it does not answer
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, x.store.times.Stop/4) // the next renewal waits
	defer cancel()
	return x.recheck(limit)
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
		uid, version := x.lease.uid, x.version
		x.mu.Unlock()
		patched, err := x.store.client.Patch(ctx, leases, x.store.options.Namespace, x.lease.name, change, kube.PatchOptions{UID: uid, ResourceVersion: version})
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
	case x.orphan:
		return x.orphaned()
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
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.orphan {
		return x.orphaned()
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
		uid, version := x.lease.uid, x.version
		x.mu.Unlock()
		err := x.store.client.Delete(ctx, leases, x.store.options.Namespace, x.lease.name, kube.DeleteOptions{UID: uid, ResourceVersion: version})
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
