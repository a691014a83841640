package clusterstore

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/signature"
	"github.com/ebb-chaos/ebb/versions"
)

// DefaultNamespace is where version files are kept.
const DefaultNamespace = "ebb"

// Options say where a store is, and which keys it trusts.
type Options struct {
	// Cluster is the cluster that has the store. Required.
	Cluster *rest.Config

	// Namespace of the objects. It must exist. Empty: [DefaultNamespace].
	Namespace string

	// Target returns the UID of the cluster that the files are for, if that is not the cluster of
	// the store. An error is logged, and means that the UID is not known. Nil: the cluster of the
	// store.
	Target func(context.Context) (string, error)

	// SigningKey signs written files. Nil: they are not signed, and only this store reads them.
	SigningKey ed25519.PrivateKey

	// PublicKeys verify files that are read, besides the public key of SigningKey.
	PublicKeys []ed25519.PublicKey

	// Force also reads files that are not proven to be written by a runner, with a warning.
	Force bool

	// Patience bounds the wait for an API server that gives no usable answer, in each outage. 0: 5
	// minutes. TotalPatience bounds the waits of all outages together. 0: no bound.
	Patience, TotalPatience time.Duration

	// Log receives warnings. Nil: no log.
	Log *slog.Logger

	// UserAgent names the program in the audit log of the API server.
	UserAgent string

	// Observed has what another process of this machine has read of Leases. This store need not
	// watch them from the start.
	Observed map[string]Observation

	// Times are for tests.
	Times Times
}

// Times are the times of a hold. Zero means the documented default.
type Times struct {
	Lease  time.Duration // after this time without a change, the holder of a Lease is dead; default 60 s
	Renew  time.Duration // time between two renewals; default 10 s
	Stop   time.Duration // no change later than this after the start of the last successful renewal; default 30 s
	Settle time.Duration // a request can arrive this long after it was sent; default 15 s
}

func (t Times) withDefaults() Times {
	for _, x := range []struct {
		d       *time.Duration
		instead time.Duration
	}{{&t.Lease, time.Minute}, {&t.Renew, 10 * time.Second}, {&t.Stop, 30 * time.Second}, {&t.Settle, 15 * time.Second}} {
		if *x.d <= 0 {
			*x.d = x.instead
		}
	}
	return t
}

// attempt is how long one renewal may take. Two of them fit into Stop: one that an API server answers
// late is as good as any other, and one whose connection is dead is followed by another.
func (t Times) attempt() time.Duration { return max(t.Renew, t.Stop/2) }

// Store is the store in a cluster.
type Store struct {
	options Options
	client  *kube.Client
	signer  *signature.Signer // nil: there is none
	log     *slog.Logger
	times   Times

	mu       sync.Mutex
	verifier *signature.Verifier
	seen     map[string]sighting // held Leases, by name
	blind    time.Duration       // uptime of the first failed read since the last successful one; 0: none failed
	target   string              // its UID, once it is known
	wrote    map[string]string   // digests of the files that this store wrote, by the UIDs of the Secrets

	journals journals
}

// sighting is a Lease as it was first read, and the time of that.
type sighting struct {
	version string
	at      time.Duration
}

var _ versions.Twin = (*Store)(nil)

// New opens a store. It sends no request.
func New(o Options) (*Store, error) {
	if o.Cluster == nil {
		return nil, errors.New("store in the cluster: got no configuration of a cluster")
	}
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if problems := validation.IsDNS1123Label(o.Namespace); len(problems) > 0 {
		return nil, fmt.Errorf("store in the cluster: namespace: got %q: %s", o.Namespace, problems[0])
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{options: o, log: o.Log, times: o.Times.withDefaults(), seen: map[string]sighting{}, wrote: map[string]string{}}
	if o.SigningKey != nil {
		signer, err := signature.SignerOf(o.SigningKey)
		if err != nil {
			return nil, err
		}
		s.signer = signer
	}
	for name, seen := range o.Observed {
		s.seen[name] = sighting{seen.Version, seen.At}
	}
	s.Trust(o.PublicKeys...)
	var err error
	s.client, err = kube.New(o.Cluster, kube.Options{Patience: o.Patience, TotalPatience: o.TotalPatience, Logger: o.Log, UserAgent: o.UserAgent})
	return s, err
}

// Trust sets the public keys that verify files, besides the public key of SigningKey.
func (s *Store) Trust(keys ...ed25519.PublicKey) {
	if s.signer != nil {
		keys = append(keys[:len(keys):len(keys)], s.signer.Public())
	}
	verifier := signature.NewVerifier(keys...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verifier = verifier
}

// verify returns what is wrong with a signature, or nil.
func (s *Store) verify(statement signature.Statement, keyID string, sig []byte) error {
	s.mu.Lock()
	verifier := s.verifier
	s.mu.Unlock()
	return verifier.Verify(statement, keyID, sig)
}

// Close closes idle connections. A closed store still works.
func (s *Store) Close() { s.client.Close() }

// Signs reports whether the store signs what it writes. Otherwise others can replay it only with
// Force.
func (s *Store) Signs() bool { return s.signer != nil }

// Scheme is the prefix of locations in a cluster.
const Scheme = "cluster://"

// Location implements versions.Store.
func (s *Store) Location() string { return Scheme + s.options.Namespace }

func (s *Store) locate(id string) string { return s.Location() + "/" + id }

// Warnings implements versions.Store.
func (s *Store) Warnings() []string {
	if s.signer == nil {
		return []string{fmt.Sprintf("version files in %s of %s are not signed: others can replay them only by force", s.Location(), s.client.Server())}
	}
	return nil
}

// Namespace returns the namespace of the objects.
func (s *Store) Namespace() string { return s.options.Namespace }

// Server returns the URL of the API server that has the store, for messages.
func (s *Store) Server() string { return s.client.Server() }

// Begin implements versions.Store.
func (s *Store) Begin(ctx context.Context, runUUID string) (versions.Execution, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := versions.CheckRunUUID(runUUID); err != nil {
		return nil, err
	}
	newest, err := s.newest(ctx)
	if err != nil {
		return nil, err
	}
	for {
		id, err := versions.NewExecutionID(newest, runUUID)
		if err != nil {
			return nil, err
		}
		e, err := s.create(ctx, id, false)
		if !errors.Is(err, errLeaseExists) { // another process has the same timestamp
			return asExecution(e, err)
		}
	}
}

// asExecution returns a nil interface for a nil pointer.
func asExecution(e *execution, err error) (versions.Execution, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

// newest returns the timestamp of the newest execution.
func (s *Store) newest(ctx context.Context) (int64, error) {
	found, err := s.client.ListMetadata(ctx, leases, s.options.Namespace, kube.ListOptions{LabelSelector: labelObject + "=" + objectLease})
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, lease := range found {
		if timestamp, _, err := versions.ParseExecutionID(lease.Annotations[noteExecution]); err == nil {
			newest = max(newest, timestamp)
		}
	}
	return newest, nil
}

// Open implements versions.Store.
func (s *Store) Open(ctx context.Context, id string) (versions.Execution, error) {
	return asExecution(s.open(ctx, id, false))
}

// Adopt implements versions.Twin.
func (s *Store) Adopt(ctx context.Context, id string) (versions.TwinExecution, error) {
	e, err := s.open(ctx, id, true)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// open locks an execution. If it has no Lease, open creates one if that is wanted, or if the
// execution has files.
func (s *Store) open(ctx context.Context, id string, make bool) (*execution, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, _, err := versions.ParseExecutionID(id); err != nil {
		return nil, err
	}
	for {
		lease, err := s.client.Get(ctx, leases, s.options.Namespace, objectName(id))
		switch {
		case apierrors.IsNotFound(err):
			found, err := s.objects(ctx, id)
			if err != nil {
				return nil, err
			}
			if len(found) == 0 && !make {
				return nil, notThere("execution", id)
			}
			// The holder may be alive, because somebody else must have deleted the Lease.
			e, err := s.create(ctx, id, len(found) > 0)
			if !errors.Is(err, errLeaseExists) {
				return e, err
			}
			continue
		case err != nil:
			return nil, err
		case kube.Meta(lease).GetAnnotations()[noteExecution] != id:
			return nil, &versions.InsecureError{Path: s.locate(id), Problem: "has a Lease of another execution's"}
		}
		e, err := s.take(ctx, id, lease)
		if !errors.Is(err, errLeaseChanged) {
			return e, err
		}
	}
}

func notThere(what, name string) error { return fmt.Errorf("%s %q: %w", what, name, fs.ErrNotExist) }

// Busy implements versions.Store.
func (s *Store) Busy(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, _, err := versions.ParseExecutionID(id); err != nil {
		return err
	}
	lease, err := s.client.Get(ctx, leases, s.options.Namespace, objectName(id))
	switch {
	case apierrors.IsNotFound(err):
		found, err := s.objects(ctx, id)
		if err == nil && len(found) == 0 {
			err = notThere("execution", id)
		}
		return err
	case err != nil:
		return err
	}
	l := readLease(lease)
	if l.free() || l.holder.gone() || s.unchanged(l) >= s.times.Lease || time.Since(l.renewed) > 2*s.times.Lease {
		return nil // may be outdated at once; it is checked again before any change
	}
	return s.locked(id, l.holder)
}

func (s *Store) locked(id string, h holder) error {
	return &versions.LockedError{Execution: id, Location: s.locate(id), Holder: h.Holder}
}

// remember records a file that this store wrote. It needs no signature to be read here.
func (s *Store) remember(uid string, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrote[uid] = versions.Digest(content)
}

func (s *Store) remembers(uid, digest string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uid != "" && s.wrote[uid] == digest
}

// unchanged returns how long a Lease was seen unchanged.
func (s *Store) unchanged(l leaseState) time.Duration {
	now := versions.ThisMachine().Uptime
	s.mu.Lock()
	defer s.mu.Unlock()
	first, ok := s.seen[l.name]
	if !ok || first.version != l.version {
		s.seen[l.name] = sighting{l.version, now}
		return 0
	}
	return now - first.at
}

// targetUID returns the UID of the cluster that files are for, or "" if it is not known.
func (s *Store) targetUID(ctx context.Context) string {
	s.mu.Lock()
	known := s.target
	s.mu.Unlock()
	if known != "" {
		return known
	}
	ask := s.options.Target
	if ask == nil {
		ask = s.client.ClusterUID
	}
	const limit = 3 * time.Second // chaos in a cloud must not depend on a cluster
	soon, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	uid, err := ask(soon)
	if err != nil {
		s.log.Debug(fmt.Sprintf("version files in %s name no cluster: %v", s.Location(), err))
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.target = uid
	return uid
}
