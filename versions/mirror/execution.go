package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/versions"
)

// execution holds both copies. The copy in the cluster is nil if there is none.
type execution struct {
	versions.Execution // the copy on the disk
	store              *Store
	disk, cluster      versions.TwinExecution

	said sync.Once // the log says that the copy in the cluster is behind
}

var _ versions.Losable = (*execution)(nil)

// behind reports a change that the copy in the cluster does not have.
func (e *execution) behind(err error) {
	e.said.Do(func() {
		e.store.log.Warn(fmt.Sprintf("the copy in %s is not written any more: %v", e.store.cluster.Location(), err))
	})
}

// tolerable reports whether work may continue after an error of the copy in the cluster.
func (e *execution) tolerable(ctx context.Context, err error) bool {
	return !e.store.options.Required && !errors.As(err, new(*versions.LockedError)) && ctx.Err() == nil
}

// Lost implements versions.Losable.
func (e *execution) Lost() <-chan struct{} {
	if x, ok := e.cluster.(versions.Losable); ok {
		return x.Lost()
	}
	return nil
}

// LostTo implements versions.Losable.
func (e *execution) LostTo() error {
	if x, ok := e.cluster.(versions.Losable); ok {
		return x.LostTo()
	}
	return nil
}

// Permit implements versions.Losable.
func (e *execution) Permit(ctx context.Context, undo bool) (check func() error, err error) {
	if x, ok := e.cluster.(versions.Losable); ok {
		return x.Permit(ctx, undo)
	}
	return func() error { return nil }, nil
}

// TookOver implements versions.Execution.
func (e *execution) TookOver() (versions.Holder, bool) {
	if holder, ok := e.disk.TookOver(); ok || e.cluster == nil {
		return holder, ok
	}
	return e.cluster.TookOver()
}

// Warnings implements versions.Execution.
func (e *execution) Warnings() []string {
	if e.cluster == nil {
		return e.disk.Warnings()
	}
	return slices.Concat(e.disk.Warnings(), e.cluster.Warnings())
}

// Flush implements versions.Execution: disk, then cluster.
func (e *execution) Flush(ctx context.Context, scenarioType string, content []byte) (versions.File, error) {
	f, err := e.disk.Flush(ctx, scenarioType, content)
	if err != nil || e.cluster == nil {
		return f, err
	}
	if _, err := e.cluster.Put(ctx, f, content); err != nil {
		if e.tolerable(ctx, err) {
			e.behind(err)
			return f, nil
		}
		// No change was made yet, so the file may be removed.
		return versions.File{}, errors.Join(err, e.disk.Remove(context.WithoutCancel(ctx), f))
	}
	return f, nil
}

// Probe implements versions.Execution. The cluster must work now, even if its copy is not required.
func (e *execution) Probe(ctx context.Context) error {
	if err := e.disk.Probe(ctx); err != nil || e.cluster == nil {
		return err
	}
	return e.cluster.Probe(ctx)
}

// Files implements versions.Execution.
func (e *execution) Files(ctx context.Context) ([]versions.File, error) {
	files, err := e.disk.Files(ctx)
	if err != nil || e.cluster == nil {
		return files, err
	}
	copies, err := e.cluster.Files(ctx)
	switch {
	case err == nil:
		return union(files, copies), nil
	case errors.As(err, new(*versions.LockedError)), ctx.Err() != nil:
		return nil, err
	}
	e.store.away(err) // the file on the disk is pending in any case
	return files, nil
}

// Read implements versions.Execution.
func (e *execution) Read(ctx context.Context, f versions.File) ([]byte, error) {
	if err := e.LostTo(); err != nil {
		return nil, err
	}
	if e.cluster == nil {
		return e.disk.Read(ctx, f)
	}
	if f.Execution != e.ID() {
		return e.disk.Read(ctx, f) // returns the error
	}
	return read(ctx, f, e.disk.Read, e.cluster.Read, e.store.log)
}

// Replace implements versions.Execution.
func (e *execution) Replace(ctx context.Context, f versions.File, content []byte) (versions.File, error) {
	replaced, err := e.disk.Replace(ctx, f, content)
	if err != nil || e.cluster == nil {
		return replaced, err
	}
	_, err = e.cluster.Replace(ctx, f, content)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = e.cluster.Put(ctx, f, content)
	}
	if err != nil && e.tolerable(ctx, err) {
		e.behind(err)
		err = nil
	}
	return replaced, err
}

// Import implements versions.Execution. Krkn's files are only on the disk. The version file that
// replaces one is in both copies.
func (e *execution) Import(ctx context.Context, f versions.File, content []byte) (versions.File, error) {
	ours, err := e.disk.Import(ctx, f, content)
	if err != nil || e.cluster == nil {
		return ours, err
	}
	if _, err := e.cluster.Put(ctx, ours, content); err != nil && !errors.Is(err, fs.ErrExist) {
		e.behind(err) // it stays pending on the disk; no change was made yet
	}
	return ours, nil
}

// MarkExecuted implements versions.Execution: cluster, then disk.
func (e *execution) MarkExecuted(ctx context.Context, f versions.File) (versions.File, error) {
	marked := false // the copy in the cluster
	if e.cluster != nil {
		_, err := e.cluster.MarkExecuted(ctx, f)
		marked = err == nil
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			if !e.tolerable(ctx, err) {
				return f, err
			}
			e.behind(err)
		}
	}
	done, err := e.disk.MarkExecuted(ctx, f)
	if errors.Is(err, fs.ErrNotExist) && marked { // it was only in the cluster, or is executed here already
		return f.In(versions.Executed), nil
	}
	return done, err
}

// Remove implements versions.Execution.
func (e *execution) Remove(ctx context.Context, files ...versions.File) error {
	for _, f := range files {
		if f.Execution != e.ID() {
			return e.disk.Remove(ctx, f) // returns the error before anything is removed
		}
	}
	if e.cluster != nil {
		// The copy may be in another state.
		both := make([]versions.File, 0, 2*len(files))
		for _, f := range files {
			both = append(both, f.In(versions.Pending), f.In(versions.Executed))
		}
		if err := e.cluster.Remove(ctx, both...); err != nil {
			if !e.tolerable(ctx, err) {
				return err
			}
			e.behind(err)
		}
	}
	return e.disk.Remove(ctx, files...)
}

// MarkInFlight implements versions.Execution. A process that may be taken for dead makes no change,
// even if the copy in the cluster is not required: the other process undoes it.
func (e *execution) MarkInFlight(m versions.Mark) (func() error, error) {
	if m.At.IsZero() { // the same time in both copies
		m.At = time.Now()
	}
	unmark := func() error { return nil }
	if e.cluster != nil {
		var err error
		if unmark, err = e.cluster.MarkInFlight(m); err != nil {
			return nil, err
		}
	}
	onDisk, err := e.disk.MarkInFlight(m)
	if err != nil {
		return nil, errors.Join(err, unmark())
	}
	return func() error { return errors.Join(onDisk(), unmark()) }, nil
}

// InFlight implements versions.Execution.
func (e *execution) InFlight(ctx context.Context) ([]versions.Mark, error) {
	marks, err := e.disk.InFlight(ctx)
	if err != nil || e.cluster == nil {
		return marks, err
	}
	others, err := e.cluster.InFlight(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range others {
		if !slices.ContainsFunc(marks, func(o versions.Mark) bool { return same(o, m) }) {
			marks = append(marks, m)
		}
	}
	slices.SortStableFunc(marks, func(a, b versions.Mark) int { return a.At.Compare(b.At) })
	return marks, nil
}

func same(a, b versions.Mark) bool {
	return a.Verb == b.Verb && a.Kind == b.Kind && a.Namespace == b.Namespace && a.Name == b.Name && a.At.Equal(b.At) && a.Until.Equal(b.Until)
}

// Close implements versions.Execution.
func (e *execution) Close() error {
	if e.cluster == nil {
		return e.disk.Close()
	}
	return errors.Join(e.cluster.Close(), e.disk.Close())
}

// pending reports whether the disk has a pending file.
func (e *execution) pending(ctx context.Context) bool {
	files, err := e.disk.Files(ctx)
	return err == nil && slices.ContainsFunc(files, versions.File.Replayable)
}

// reconcile makes both copies equal, as far as possible. It logs what it can't do. An undo is still
// possible then, because each method uses both copies.
func (e *execution) reconcile(ctx context.Context) {
	disk, err := e.disk.Files(ctx)
	var cluster []versions.File
	if err == nil {
		cluster, err = e.cluster.Files(ctx)
	}
	if err != nil {
		e.store.log.Warn(fmt.Sprintf("the copies of %s can't be compared: %v", e.Location(), err))
		return
	}
	byKey := func(files []versions.File) map[string]versions.File {
		found := map[string]versions.File{}
		for _, f := range files {
			if f.Kind == versions.KindVersion {
				found[f.Key()] = f
			}
		}
		return found
	}
	here, there := byKey(disk), byKey(cluster)
	for key, f := range here {
		if other, ok := there[key]; ok {
			e.settle(ctx, f, other)
		} else if e.store.signs() {
			e.copy(ctx, f, e.disk, e.cluster, "cluster")
		}
	}
	for key, f := range there {
		if _, ok := here[key]; !ok {
			e.copy(ctx, f, e.cluster, e.disk, "disk")
		}
	}
}

// copy writes a file to the copy that lacks it.
func (e *execution) copy(ctx context.Context, f versions.File, from, to versions.TwinExecution, where string) {
	content, err := from.Read(ctx, f)
	if err == nil {
		_, err = to.Put(ctx, f, content)
	}
	if err != nil {
		e.store.log.Warn(fmt.Sprintf("%s is not copied to the %s: %v", f.Location, where, err))
		return
	}
	e.store.log.Info(fmt.Sprintf("%s is copied to the %s, which lacked it", f.Location, where))
}

// settle gives a file the same state in both copies. If it is pending in either, it is pending: the
// executed copy is written again.
func (e *execution) settle(ctx context.Context, here, there versions.File) {
	if here.State == there.State {
		return
	}
	var err error
	switch {
	case here.State == versions.Executed:
		err = reopen(ctx, e.disk, here)
	case e.store.signs():
		err = reopen(ctx, e.cluster, there)
	default: // an unsigned pending copy would be of less use than the executed one
		return
	}
	if err != nil {
		e.store.log.Warn(fmt.Sprintf("%s is pending in one copy and executed in the other: %v", here.Location, err))
		return
	}
	e.store.log.Info(fmt.Sprintf("%s was pending in one copy and executed in the other: it is pending", here.Location))
}

// reopen makes an executed file pending. If it is interrupted, the other copy is still pending.
func reopen(ctx context.Context, x versions.TwinExecution, f versions.File) error {
	content, err := x.Read(ctx, f)
	if err != nil {
		return err
	}
	if err := x.Remove(ctx, f); err != nil {
		return err
	}
	_, err = x.Put(ctx, f.In(versions.Pending), content)
	return err
}
