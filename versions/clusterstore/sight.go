package clusterstore

import (
	"context"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// Sight is a pending execution, with what can be seen of who has it.
type Sight struct {
	versions.ExecutionInfo
	Held      bool            // somebody has it, or had it when he died
	Holder    versions.Holder // who that is
	Unchanged time.Duration   // for how long this store has seen his Lease not change
	Dead      bool            // nobody has it any more
}

// Look tells of all pending executions who has them, by metadata alone. Whoever wants to know that a
// holder is dead looks again and again: only a Lease that was seen not to change tells it.
//
// Time in which the store could not be looked at does not count: a holder could renew his Lease as
// little.
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

// blindPart is how long a look may take to count as one, as a part of how long a Lease lasts.
const blindPart = 4

// looked takes note of how a look went.
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

// Observation is a Lease as it was first seen, on this boot of this machine.
type Observation struct {
	Version string
	At      time.Duration // CLOCK_BOOTTIME
}

// Observations returns what this store has seen, for [Options].Observed of another process.
func (s *Store) Observations() map[string]Observation {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]Observation{}
	for name, seen := range s.seen {
		all[name] = Observation{seen.version, seen.at}
	}
	return all
}
