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

// Leader is work that one of several processes does at a time: the process that holds a Lease in
// the namespace of the store. The Lease has the format of client-go's leader election, so that
// other versions of this program can take part.
type Leader struct {
	Name string // name of the Lease

	// Work is called while this process is the leader. Its context ends when this process is no
	// longer the leader, or when the context of Lead ends. The Lease is kept until Work has
	// returned, unless it is lost.
	Work func(context.Context)

	// Other is called with the identity of each other leader. Nil: not called.
	Other func(identity string)
}

// The times of an election, as parts of the time that an execution's Lease lasts.
const (
	leadPart     = 4  // without a renewal for 15 s, the leader is no longer leader
	deadlinePart = 6  // a leader that could not renew for 10 s gives up
	attemptPart  = 30 // an attempt every 2 s
)

// candidate is one process in an election.
type candidate struct {
	Leader
	store    *Store
	identity string
	lease    leaseState // as it was read last
	good     time.Duration
	said     string // the last error that was logged
	reported string // the leader that Other was called with
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

// pause returns the time to the next attempt. It is random, so that candidates don't try at the
// same time.
func (c *candidate) pause() time.Duration {
	pause := c.store.times.Lease / attemptPart
	return pause + time.Duration(rand.Int64N(int64(pause)/5+1))
}

// lead calls Work for as long as the Lease can be held. No other process begins before Work has
// returned, unless this process is silent for so long that it counts as dead.
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

// try takes or renews the Lease. It returns true if this process has it.
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

// hold takes or renews the Lease, unless another process has it. c.lease then says which.
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
		// Another process has changed it: read who has it now.
	}
	object, err := client.Get(ctx, leases, namespace, c.Name)
	if apierrors.IsNotFound(err) {
		return c.make(ctx)
	}
	if err != nil {
		return err
	}
	c.lease = readLease(object)
	// The age of the Lease is measured by the clock of this store only.
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
		c.lease = leaseState{} // another process was faster; the next attempt reads which
		return nil
	}
	if err == nil {
		c.lease = readLease(taken)
	}
	return err
}

// make creates the Lease if there is none.
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

// sameLease makes a patch fail if another process has changed the Lease.
func (c *candidate) sameLease() kube.PatchOptions {
	return kube.PatchOptions{UID: c.lease.uid, ResourceVersion: c.lease.version}
}

// spec is the spec of a Lease that this process takes now.
func (c *candidate) spec() kube.Object {
	now := microTime(time.Now())
	return kube.Object{
		"holderIdentity": c.identity, "leaseDurationSeconds": max(1, int64(c.store.times.Lease/leadPart/time.Second)),
		"acquireTime": now, "renewTime": now,
	}
}

// lasts is how long a Lease must be unchanged before it counts as free. Its holder may use a longer
// time than this process.
func (c *candidate) lasts(lease kube.Object) time.Duration {
	// One that is no number is as good as missing: this process's own time counts.
	seconds, _, _ := unstructured.NestedInt64(lease, "spec", "leaseDurationSeconds")
	return max(c.store.times.Lease/leadPart, time.Duration(seconds)*time.Second)
}

// release gives the Lease up, so that another process can lead at once. If that fails, the Lease
// expires by itself.
func (c *candidate) release(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, c.store.times.Lease/deadlinePart)
	defer cancel()
	_, err := c.store.client.Patch(limit, leases, c.store.options.Namespace, c.Name, kube.Object{"spec": kube.Object{"holderIdentity": nil}}, c.sameLease())
	c.lease = leaseState{}
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		c.store.log.Warn(fmt.Sprintf("the Lease %q was not given back: %v", c.Name, err))
	}
}
