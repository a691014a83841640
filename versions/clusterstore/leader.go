package clusterstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/versions"
)

// Leader is a piece of work that one of several processes does at a time: the one that holds a Lease
// beside the store. It is written as client-go's own election writes it, so that other versions of
// this program can take part.
type Leader struct {
	Name string // of the Lease

	// Work is done while this process leads. Its context ends when it leads no more, or when that of
	// Lead does. The Lease is kept until Work has returned, unless it is lost.
	Work func(context.Context)

	// Other is told of each process that leads instead. Nil: nobody.
	Other func(identity string)
}

// How the times of an election follow from that of an execution's Lease.
const (
	leadPart     = 4  // who has not renewed it for 15 s leads no more
	deadlinePart = 6  // who could not renew it for 10 s gives up
	attemptPart  = 30 // it is tried every 2 s
)

// candidate is one process in an election.
type candidate struct {
	Leader
	store    *Store
	identity string
	lease    leaseState // as it was seen last
	good     time.Duration
	said     string // the last error that was logged
	reported string // the leader that Other was told of
}

// Lead takes part in an election until the context ends. It returns once Work has.
func (s *Store) Lead(ctx context.Context, l Leader) {
	c := &candidate{Leader: l, store: s, identity: s.newHolder().Identity}
	for ctx.Err() == nil {
		limit, cancel := context.WithTimeout(ctx, s.times.Lease/deadlinePart)
		held := c.try(limit)
		cancel()
		if held {
			c.lead(ctx)
		}
		_ = patience.Sleep(ctx, c.pause()) // the loop sees that the context has ended
	}
}

// pause is not the same for all candidates.
func (c *candidate) pause() time.Duration {
	pause := c.store.times.Lease / attemptPart
	return pause + time.Duration(rand.Int64N(int64(pause)/5+1))
}

// lead works for as long as the Lease can be held. Nobody else begins before this work has returned,
// unless this process can't be heard of for so long that it has to be taken for dead.
func (c *candidate) lead(ctx context.Context) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.Work(working)
	}()
	for {
		select {
		case <-over:
			c.release(context.WithoutCancel(ctx))
			return
		case <-time.After(c.pause()):
		}
		left := c.store.times.Lease/deadlinePart - (versions.ThisMachine().Uptime - c.good)
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), left)
		held := c.try(limit)
		cancel()
		if late := versions.ThisMachine().Uptime-c.good > c.store.times.Lease/deadlinePart; late || !held && c.lease.identity != c.identity {
			c.store.log.Warn(fmt.Sprintf("the Lease %q is lost: stopping", c.Name))
			stop()
			<-over
			return
		}
	}
}

// try takes the Lease, or renews it, and reports whether this process has it.
func (c *candidate) try(ctx context.Context) bool {
	began := versions.ThisMachine().Uptime
	err := c.hold(ctx)
	switch {
	case err == nil && c.lease.identity == c.identity:
		c.good, c.said = began, ""
		c.reported = c.identity
		return true
	case err != nil:
		if text := err.Error(); text != c.said && ctx.Err() == nil {
			c.said = text
			c.store.log.Warn(fmt.Sprintf("the Lease %q can't be had: %v", c.Name, err))
		}
	case c.lease.identity != c.reported:
		c.reported = c.lease.identity
		if c.Other != nil && c.reported != "" {
			c.Other(c.reported)
		}
	}
	return false
}

// hold makes the Lease this process's, unless another one has it. c.lease says who has.
func (c *candidate) hold(ctx context.Context) error {
	client, namespace := c.store.client, c.store.options.Namespace
	if c.lease.identity == c.identity {
		now, err := client.Patch(ctx, leases, namespace, c.Name, kube.Object{"spec": kube.Object{"renewTime": microTime(time.Now())}}, c.sameLease())
		if err == nil {
			c.lease = readLease(now)
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return err
		}
		// Somebody has changed it: who has it now?
	}
	object, err := client.Get(ctx, leases, namespace, c.Name)
	if apierrors.IsNotFound(err) {
		return c.make(ctx)
	}
	if err != nil {
		return err
	}
	c.lease = readLease(object)
	// Only this store's own clock tells how old it is.
	unchanged := c.store.unchanged(c.lease)
	if !c.lease.free() && c.lease.identity != c.identity && unchanged < c.lasts(object) {
		return nil
	}
	spec := c.spec()
	if c.lease.identity != c.identity {
		// One that is no number counts as none, as for client-go.
		changes, _, _ := unstructured.NestedInt64(object, "spec", "leaseTransitions")
		spec["leaseTransitions"] = changes + 1
	}
	taken, err := client.Patch(ctx, leases, namespace, c.Name, kube.Object{"spec": spec}, c.sameLease())
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		c.lease = leaseState{} // another one was faster; the next attempt tells who
		return nil
	}
	if err == nil {
		c.lease = readLease(taken)
	}
	return err
}

// make makes the Lease where there is none.
func (c *candidate) make(ctx context.Context) error {
	c.lease = leaseState{}
	spec := c.spec()
	spec["leaseTransitions"] = int64(0)
	made, err := c.store.client.Create(ctx, leases, c.store.options.Namespace, kube.Object{"metadata": kube.Object{"name": c.Name}, "spec": spec})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err == nil {
		c.lease = readLease(made)
	}
	return err
}

// sameLease has a change refused if somebody else has made one.
func (c *candidate) sameLease() kube.PatchOptions {
	return kube.PatchOptions{UID: c.lease.uid, ResourceVersion: c.lease.version}
}

// spec says that this process has the Lease from now on.
func (c *candidate) spec() kube.Object {
	now := microTime(time.Now())
	return kube.Object{
		"holderIdentity": c.identity, "leaseDurationSeconds": max(1, int64(c.store.times.Lease/leadPart/time.Second)),
		"acquireTime": now, "renewTime": now,
	}
}

// lasts is how long a Lease has to be unchanged to be free. Who holds it may count on more than this
// process would.
func (c *candidate) lasts(lease kube.Object) time.Duration {
	// One that is no number is as good as missing: this process's own time counts.
	seconds, _, _ := unstructured.NestedInt64(lease, "spec", "leaseDurationSeconds")
	return max(c.store.times.Lease/leadPart, time.Duration(seconds)*time.Second)
}

// release lets another process lead at once. One that can't be told waits until the Lease is over.
func (c *candidate) release(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, c.store.times.Lease/deadlinePart)
	defer cancel()
	_, err := c.store.client.Patch(limit, leases, c.store.options.Namespace, c.Name, kube.Object{"spec": kube.Object{"holderIdentity": nil}}, c.sameLease())
	c.lease = leaseState{}
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		c.store.log.Warn(fmt.Sprintf("the Lease %q was not given back: %v", c.Name, err))
	}
}
