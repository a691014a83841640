// Package mirror keeps version files twice: in a directory, and in a cluster in case the machine is
// lost.
//
// # Use
//
// [New] joins two stores. Each operation on an execution applies to both of its copies.
//
// # Avoid
//
// Don't change only one of the copies while it is pending.
//
// # Promised
//
//   - Order. A file is written to the disk, then to the cluster, and only then may the change be
//     made. An undone file is marked in the cluster first, then on the disk.
//   - If a file is pending in either copy, it is pending. A second undo finds nothing to do; a missing
//     undo would be a loss. When an execution is opened, its copies are made equal, as far as both
//     can be written.
//   - If two copies differ, the one in the cluster counts if it is signed. If it is not signed, the
//     file can't be read.
//   - If the copy in the cluster can't be written and is required, the change is not made. If it is
//     not required, the log says so once, and the next open makes the copies equal.
//   - If the cluster does not answer, the files on the disk can still be undone.
package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/ebb-chaos/ebb/versions"
)

// Options say how the copies are kept.
type Options struct {
	// Required makes a write fail if the cluster can't be written. At the start of a run, the
	// cluster must be writable in any case.
	Required bool

	// Signs reports whether copies in the cluster can be signed by this process. If not, files that
	// are only on the disk are not copied to the cluster, because nobody could use the copies. Nil:
	// they can be signed.
	Signs func() bool

	// Log receives warnings about copies that differ. Nil: no log.
	Log *slog.Logger
}

// Store is a store with two copies.
type Store struct {
	disk, cluster versions.Twin
	options       Options
	log           *slog.Logger
}

var _ versions.Store = (*Store)(nil)

// New joins a store on the disk and one in a cluster.
func New(disk, cluster versions.Twin, o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Store{disk, cluster, o, o.Log}
}

// signs reports whether this process can sign copies in the cluster.
func (s *Store) signs() bool { return s.options.Signs == nil || s.options.Signs() }

// Location implements versions.Store.
func (s *Store) Location() string { return s.disk.Location() }

// Warnings implements versions.Store.
func (s *Store) Warnings() []string { return s.cluster.Warnings() } // files on the disk may be lost

// Begin implements versions.Store.
func (s *Store) Begin(ctx context.Context, runUUID string) (versions.Execution, error) {
	disk, err := s.disk.Begin(ctx, runUUID)
	if err != nil {
		return nil, err
	}
	cluster, err := s.cluster.Adopt(ctx, disk.ID())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", s.cluster.Location(), err), disk.Close())
	}
	return &execution{Execution: disk, store: s, disk: disk.(versions.TwinExecution), cluster: cluster}, nil
}

// Open implements versions.Store.
func (s *Store) Open(ctx context.Context, id string) (versions.Execution, error) {
	cluster, away, err := s.openCluster(ctx, id)
	if err != nil {
		return nil, err
	}
	var disk versions.TwinExecution
	x, err := s.disk.Open(ctx, id)
	switch {
	case err == nil:
		disk = x.(versions.TwinExecution)
	case errors.Is(err, fs.ErrNotExist) && cluster != nil:
		if disk, err = s.disk.Adopt(ctx, id); err != nil {
			if errors.As(err, new(*versions.LockedError)) {
				return nil, errors.Join(err, cluster.Close())
			}
			// The machine with the other copy is lost, and the disk of this one can't be written.
			s.log.Warn(fmt.Sprintf("%s can't be copied to %s: %v", cluster.Location(), s.disk.Location(), err))
			return cluster, nil
		}
	case cluster != nil:
		return nil, errors.Join(err, cluster.Close())
	default:
		return nil, err
	}
	e := &execution{Execution: disk, store: s, disk: disk, cluster: cluster}
	if cluster == nil && !away && s.signs() && e.pending(ctx) { // the cluster has lost it
		if e.cluster, err = s.cluster.Adopt(ctx, id); err != nil {
			e.cluster = nil // a nil interface, and not one that holds a nil pointer
			s.away(err)
		}
	}
	if e.cluster != nil {
		e.reconcile(ctx)
	}
	return e, nil
}

// openCluster opens the copy in the cluster. It returns nil without an error if there is none, or
// if the cluster does not answer: files on the disk can still be undone then.
func (s *Store) openCluster(ctx context.Context, id string) (x versions.TwinExecution, away bool, err error) {
	opened, err := s.cluster.Open(ctx, id)
	switch {
	case err == nil:
		return opened.(versions.TwinExecution), false, nil
	case errors.As(err, new(*versions.LockedError)), ctx.Err() != nil:
		return nil, false, err
	case errors.Is(err, fs.ErrNotExist):
		return nil, false, nil
	}
	s.away(err)
	return nil, true, nil
}

func (s *Store) away(err error) {
	s.log.Warn(fmt.Sprintf("the copies in %s can't be reached: %v", s.cluster.Location(), err))
}

// Busy implements versions.Store.
func (s *Store) Busy(ctx context.Context, id string) error {
	err := s.disk.Busy(ctx, id)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	other := s.cluster.Busy(ctx, id)
	switch {
	case other == nil, errors.As(other, new(*versions.LockedError)), ctx.Err() != nil:
		return other
	case !errors.Is(other, fs.ErrNotExist):
		s.away(other)
	}
	return err
}

// List implements versions.Store.
func (s *Store) List(ctx context.Context, f versions.Filter) (versions.Listing, error) {
	// All states: a file that is executed in one copy may be pending in the other.
	listing, err := s.disk.List(ctx, f)
	if err != nil {
		return listing, err
	}
	other, err := s.cluster.List(ctx, f)
	if ctx.Err() != nil {
		return listing, ctx.Err()
	}
	if err != nil {
		listing.Problems = append(listing.Problems, versions.Problem{Location: s.cluster.Location(), What: "can't be listed: " + err.Error()})
		return listing, nil
	}
	listing.Problems = append(listing.Problems, other.Problems...)
	at := map[string]int{}
	for i, x := range listing.Executions {
		at[x.ID] = i
	}
	for _, x := range other.Executions {
		if i, ok := at[x.ID]; ok {
			own := &listing.Executions[i]
			own.Files, own.Problems = union(own.Files, x.Files), append(own.Problems, x.Problems...)
			continue
		}
		listing.Executions = append(listing.Executions, x)
	}
	slices.SortFunc(listing.Executions, func(a, b versions.ExecutionInfo) int {
		return cmp.Or(cmp.Compare(b.Timestamp, a.Timestamp), cmp.Compare(b.ID, a.ID))
	})
	return listing, nil
}

// union has each file of both copies once: the one on the disk if both have the same state, and the
// pending one otherwise.
func union(disk, cluster []versions.File) []versions.File {
	at := map[string]int{}
	files := slices.Clone(disk)
	for i, f := range files {
		at[f.Key()] = i
	}
	for _, f := range cluster {
		i, ok := at[f.Key()]
		switch {
		case !ok:
			files = append(files, f)
		case f.State == versions.Pending && files[i].State != versions.Pending:
			files[i] = f
		}
	}
	versions.SortFiles(files)
	return files
}

// Read implements versions.Store.
func (s *Store) Read(ctx context.Context, f versions.File) ([]byte, error) {
	return read(ctx, f, s.disk.Read, s.cluster.Read, s.log)
}

// read returns the content of a file that has two copies, whatever their states.
func read(ctx context.Context, f versions.File, disk, cluster func(context.Context, versions.File) ([]byte, error), log *slog.Logger) ([]byte, error) {
	here, err := anyState(ctx, f, disk)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	there, otherErr := anyState(ctx, f, cluster)
	var untrusted *versions.UntrustedError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return there, otherErr
	case errors.Is(otherErr, fs.ErrNotExist):
		return here, nil
	case errors.As(otherErr, &untrusted) && untrusted.Digest == versions.Digest(here):
		return here, nil
	case errors.As(otherErr, &untrusted): // a person has to decide which copy is right
		return nil, otherErr
	case otherErr != nil:
		log.Warn(fmt.Sprintf("the copy of %s in the cluster can't be read: %v", f.Name, otherErr))
		return here, nil
	case string(here) != string(there):
		log.Warn(fmt.Sprintf("%s differs from its copy in the cluster, which is signed and counts: it was edited or replaced", f.Location))
		return there, nil
	}
	return here, nil
}

func anyState(ctx context.Context, f versions.File, from func(context.Context, versions.File) ([]byte, error)) ([]byte, error) {
	content, err := from(ctx, f)
	if errors.Is(err, fs.ErrNotExist) {
		for _, state := range []versions.State{versions.Pending, versions.Executed} {
			if other := f.In(state); other.Name != f.Name {
				return from(ctx, other)
			}
		}
	}
	return content, err
}

// Original implements versions.Store.
func (s *Store) Original(ctx context.Context, f versions.File) ([]byte, error) {
	content, err := anyState(ctx, f, s.disk.Original)
	if errors.Is(err, fs.ErrNotExist) {
		return anyState(ctx, f, s.cluster.Original)
	}
	return content, err
}

// Append implements versions.Store. The journal is not mirrored.
func (s *Store) Append(ctx context.Context, e versions.Entry) error { return s.disk.Append(ctx, e) }

// AppendLazily implements versions.LazyJournal, as far as the disk does.
func (s *Store) AppendLazily(ctx context.Context, e versions.Entry) error {
	if lazy, ok := s.disk.(versions.LazyJournal); ok {
		return lazy.AppendLazily(ctx, e)
	}
	return s.disk.Append(ctx, e)
}

// SyncJournal implements versions.LazyJournal.
func (s *Store) SyncJournal(ctx context.Context) error {
	if lazy, ok := s.disk.(versions.LazyJournal); ok {
		return lazy.SyncJournal(ctx)
	}
	return nil
}

// Journal implements versions.Store.
func (s *Store) Journal(ctx context.Context, f versions.Filter) iter.Seq2[versions.Entry, error] {
	return s.disk.Journal(ctx, f)
}

var (
	_ versions.RemnantCleaner = (*Store)(nil)
	_ versions.LazyJournal    = (*Store)(nil)
)

// CleanRemnants implements [versions.RemnantCleaner] for the copy in the cluster. Processes that
// use only that copy write lines into its journal.
func (s *Store) CleanRemnants(ctx context.Context, before time.Time, dryRun bool) (removed []versions.Remnant, err error) {
	if cleaner, ok := s.cluster.(versions.RemnantCleaner); ok {
		return cleaner.CleanRemnants(ctx, before, dryRun)
	}
	return nil, nil
}
