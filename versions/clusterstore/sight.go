package clusterstore

import (
	"context"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// Sight is a pending execution, and what is known of its holder.
type Sight struct {
	versions.ExecutionInfo
	Held      bool            // it has a holder, alive or dead
	Holder    versions.Holder // the holder
	Unchanged time.Duration   // how long this store has seen the Lease unchanged
	Dead      bool            // the holder is dead
}

// Look returns all pending executions with what is known of their holders. It reads metadata only.
// To find out that a holder is dead, call it repeatedly: only a Lease that was seen unchanged for
// long enough proves it.
//
// Time in which the store could not be read does not count, because the holder could not renew its
// Lease then either.
func (s *Store) Look(ctx context.Context) ([]Sight, []versions.Problem, error) {
	began := versions.ThisMachine().Uptime
	var found []metav1.PartialObjectMetadata
	listing, err := s.List(ctx, versions.Filter{PendingOnly: true})
	if err == nil {
		found, err = s.client.ListMetadata(ctx, leases, s.options.Namespace, kube.ListOptions{LabelSelector: labelObject + "=" + objectLease})
	}
	s.looked(began, err)
	if err != nil {
		return nil, nil, err
	}
	byID := map[string]leaseState{}
	names := map[string]bool{}
	for _, lease := range found {
		h := readHolder(lease.Annotations[noteHolder])
		names[lease.Name] = true
		byID[lease.Annotations[noteExecution]] = leaseState{name: lease.Name, version: lease.ResourceVersion, holder: h, identity: h.Identity}
	}
	s.mu.Lock()
	maps.DeleteFunc(s.seen, func(name string, _ sighting) bool { return !names[name] })
	s.mu.Unlock()
	var sights []Sight
	for _, x := range listing.Executions {
		sight := Sight{ExecutionInfo: x}
		if l, ok := byID[x.ID]; ok && !l.free() {
			sight.Held, sight.Holder = true, l.holder.Holder
			sight.Unchanged = s.unchanged(l)
			sight.Dead = l.holder.gone() || sight.Unchanged >= s.times.Lease
		}
		sights = append(sights, sight)
	}
	return sights, listing.Problems, nil
}

// blindPart is the maximal duration of a read that counts, as a part of how long a Lease lasts.
const blindPart = 4

// looked records whether a read succeeded.
func (s *Store) looked(began time.Duration, err error) {
	now := versions.ThisMachine().Uptime
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blind == 0 {
		s.blind = began
	}
	if err != nil {
		return
	}
	if lost := now - s.blind; lost > s.times.Lease/blindPart {
		for name, seen := range s.seen {
			seen.at += lost
			s.seen[name] = seen
		}
	}
	s.blind = 0
}

// Observation is a Lease as it was first read, on this boot of this machine.
type Observation struct {
	Version string
	At      time.Duration // CLOCK_BOOTTIME
}

// Observations returns what this store has read of Leases, for [Options].Observed of another
// process.
func (s *Store) Observations() map[string]Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]Observation{}
	for name, seen := range s.seen {
		all[name] = Observation{seen.version, seen.at}
	}
	return all
}
