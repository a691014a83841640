package clusterstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/google/uuid"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/versions"
)

var (
	errLeaseExists  = errors.New("the execution has a Lease")
	errLeaseChanged = errors.New("the Lease changed")
)

// leaseState is a Lease as it was read.
type leaseState struct {
	name, uid, version string
	holder             holder
	identity           string // of the holder, as the spec has it; "" for none
	last               string // identity of the last holder that released it
	renewed            time.Time
	marks              []versions.Mark
}

func readLease(object kube.Object) leaseState {
	meta := kube.Meta(object)
	l := leaseState{name: meta.GetName(), uid: string(meta.GetUID()), version: meta.GetResourceVersion()}
	// A missing value, or one of another type, counts as empty.
	l.identity, _, _ = unstructured.NestedString(object, "spec", "holderIdentity")
	if l.holder = readHolder(meta.GetAnnotations()[noteHolder]); l.holder.Identity != l.identity {
		l.holder = holder{Identity: l.identity}
		l.holder.Host = l.identity
	}
	l.last = readHolder(meta.GetAnnotations()[noteLast]).Identity
	renewed, _, _ := unstructured.NestedString(object, "spec", "renewTime")
	if at, err := time.Parse(time.RFC3339, renewed); err == nil {
		l.renewed = at
	}
	if note := meta.GetAnnotations()[noteInFlight]; json.Unmarshal([]byte(note), &l.marks) != nil {
		l.marks = nil
	}
	return l
}

func (l leaseState) free() bool { return l.identity == "" }

// emptied reports whether somebody other than the holder removed the holder from a Lease. The
// holder may be alive without knowing that.
func emptied(object kube.Object) bool {
	return readLease(object).free() && readHolder(kube.Meta(object).GetAnnotations()[noteHolder]).Identity != ""
}

// microTime is the format of times in a Lease.
func microTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// held is the part of a Lease that says who holds it.
func (s *Store) held(h holder, now time.Time) kube.Object {
	return kube.Object{
		"metadata": kube.Object{"annotations": kube.Object{noteHolder: h.String()}},
		"spec": kube.Object{
			"holderIdentity": h.Identity, "leaseDurationSeconds": max(1, int64(s.times.Lease/time.Second)),
			"acquireTime": microTime(now), "renewTime": microTime(now),
		},
	}
}

// newLease is the Lease of an execution, held.
func (s *Store) newLease(id string, h holder) kube.Object {
	_, runUUID, _ := strings.Cut(id, "-")
	object := s.held(h, time.Now())
	meta := object["metadata"].(kube.Object)
	meta["name"] = objectName(id)
	meta["labels"] = kube.Object{labelRun: runUUID, labelExecution: labelValue(id), labelObject: objectLease}
	meta["annotations"].(kube.Object)[noteExecution] = id
	return object
}

func (s *Store) newHolder() holder {
	return newHolder(versions.Self().Host + "_" + uuid.NewString())
}

// create creates the Lease of an execution, which begins with that. The error is errLeaseExists if
// another process has created it. If doubt is true, there may be a holder without a Lease.
func (s *Store) create(ctx context.Context, id string, doubt bool) (*execution, error) {
	if _, _, err := versions.ParseExecutionID(id); err != nil {
		return nil, err
	}
	h, began := s.newHolder(), versions.ThisMachine().Uptime
	made, err := s.client.Create(ctx, leases, s.options.Namespace, s.newLease(id, h))
	if apierrors.IsAlreadyExists(err) {
		return nil, errLeaseExists
	}
	if err != nil {
		return nil, err
	}
	l := readLease(made)
	if l.identity != h.Identity { // an answer was lost, and another process has the Lease
		return nil, errLeaseExists
	}
	return s.newExecution(ctx, id, h, l, began, nil, doubt)
}

// take takes the Lease of an execution that has no holder, or whose holder is dead. If the holder
// may be dead, it waits until that is certain.
func (s *Store) take(ctx context.Context, id string, object kube.Object) (*execution, error) {
	l := readLease(object)
	dead, doubt := false, emptied(object)
	switch {
	case l.free():
	case l.holder.gone():
		dead = true
	default:
		if s.unchanged(l) < s.times.Lease && !s.suspicious(l) {
			return nil, s.locked(id, l.holder)
		}
		if err := s.watchLease(ctx, id, l); err != nil {
			return nil, err
		}
		dead = true
	}
	h, began := s.newHolder(), versions.ThisMachine().Uptime
	taken, err := s.client.Patch(ctx, leases, s.options.Namespace, l.name, s.held(h, time.Now()), kube.PatchOptions{UID: l.uid, ResourceVersion: l.version})
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return nil, errLeaseChanged
	case err != nil:
		return nil, err
	}
	now := readLease(taken)
	if now.identity != h.Identity {
		return nil, errLeaseChanged
	}
	now.marks = l.marks
	var tookOver *holder
	if dead {
		tookOver = &l.holder
	}
	return s.newExecution(ctx, id, h, now, began, tookOver, doubt || dead && !tookOver.gone())
}

// suspicious reports whether a holder may be dead, by the times in the Lease. Because clocks
// differ, this is only a reason to watch the Lease, and never to take it.
func (s *Store) suspicious(l leaseState) bool {
	age := time.Since(l.renewed)
	return age > 2*s.times.Renew || age < -s.times.Renew
}

// watchLease returns nil when the Lease was seen unchanged for as long as it lasts. It returns an
// error as soon as the Lease changes.
func (s *Store) watchLease(ctx context.Context, id string, l leaseState) error {
	said := false
	for {
		left := s.times.Lease - s.unchanged(l)
		if left <= 0 {
			return nil
		}
		if !said {
			said = true
			s.log.Info(fmt.Sprintf("execution %s: its Lease was last renewed at %s; in %s it is known whether its process is alive",
				id, l.renewed.Format(time.RFC3339), left.Round(time.Second)))
		}
		if err := patience.Sleep(ctx, min(left, s.times.Renew/4)); err != nil {
			return err
		}
		object, err := s.client.Get(ctx, leases, s.options.Namespace, l.name)
		switch {
		case apierrors.IsNotFound(err):
			return errLeaseChanged
		case err != nil:
			return err
		}
		now := readLease(object)
		switch {
		case now.free():
			return errLeaseChanged
		case now.version != l.version:
			s.unchanged(now)
			return s.locked(id, now.holder)
		}
	}
}
