package clusterstore

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// look finds out whether this holder still has the Lease.
func (x *hold) look(ctx context.Context) error {
	object, err := x.store.client.Get(ctx, leases, x.store.options.Namespace, x.lease.name)
	if apierrors.IsNotFound(err) {
		return x.gone()
	}
	if err != nil {
		return err
	}
	l := readLease(object)
	switch {
	case l.free() && l.last == x.lease.last: // nobody has held it since
		return x.gone()
	case l.free(): // the process that took it over has ended, too
		return x.lose(readHolder(kube.Meta(object).GetAnnotations()[noteLast]))
	case l.identity != x.holder.Identity:
		return x.lose(l.holder)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.adopt(l)
	return nil
}

// adopt notes a state of the Lease that another process has written. It may be an older one, from a
// backup, or the Lease that this holder made anew. The caller holds x.mu.
func (x *hold) adopt(l leaseState) {
	x.orphan = x.orphan || l.uid != x.lease.uid
	x.lease.uid, x.version, x.deleted, x.doubt = l.uid, l.version, false, true
}

// gone notes that somebody deleted or emptied the Lease.
func (x *hold) gone() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.deleted, x.orphan, x.doubt = true, true, true
	return x.orphaned()
}

// orphaned is the error of a hold whose Lease somebody deleted or emptied. No other process is known
// to have the execution, so this one still has to undo its changes. Any process could take it
// meanwhile, so this one makes no further change, even if it has the Lease again.
func (x *hold) orphaned() error {
	return fmt.Errorf("execution %s: its Lease was deleted or emptied by somebody: nothing shows that another process has not got it", x.id)
}

// remake makes a deleted Lease anew, so that others can undo what this holder's files say. The
// signatures of the files have the UID of the Lease, so they have to be written again, too.
func (x *hold) remake(ctx context.Context) error {
	x.patching.Lock()
	defer x.patching.Unlock()
	began := versions.ThisMachine().Uptime
	made, err := x.store.client.Create(ctx, leases, x.store.options.Namespace, x.store.newLease(x.id, x.holder))
	if apierrors.IsAlreadyExists(err) {
		return x.look(ctx)
	}
	if err != nil {
		return err
	}
	l := readLease(made)
	if l.identity != x.holder.Identity {
		return x.look(ctx)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.adopt(l)
	x.good, x.saved = max(x.good, began), false
	x.store.log.Warn(fmt.Sprintf("the Lease of execution %s was deleted by somebody, or lost with the state of its cluster: it is made anew", x.id))
	return nil
}

func (x *hold) isDeleted() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.deleted
}

// incarnation is the UID of the Lease.
func (x *hold) incarnation() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lease.uid
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
