package clusterstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/versions"
)

// execution is one that this process holds.
type execution struct {
	*hold
	runUUID  string
	tookOver *holder

	// Methods hold it for reading, Close for writing: nothing is under way when an execution is
	// given back.
	using  sync.RWMutex
	closed bool

	writing sync.Mutex // one file after the other: ordinals have no gaps

	known   sync.Mutex // guards the rest
	used    int        // ordinal
	newest  int64      // timestamp
	files   map[string]entry
	older   map[string][]entry
	removed []entry // files whose ordinals stay used
	kept    map[string]*keptFile
}

var (
	_ versions.TwinExecution = (*execution)(nil)
	_ versions.Losable       = (*execution)(nil)
)

// newExecution begins to hold an execution whose Lease was just taken.
func (s *Store) newExecution(ctx context.Context, id string, h holder, l leaseState, began time.Duration, tookOver *holder, alive bool) (*execution, error) {
	_, runUUID, err := versions.ParseExecutionID(id)
	if err != nil {
		return nil, err
	}
	e := &execution{hold: s.hold(id, h, l, began), runUUID: runUUID, tookOver: tookOver, files: map[string]entry{}, older: map[string][]entry{}, kept: map[string]*keptFile{}}
	if err := e.begin(ctx, alive); err != nil {
		return nil, errors.Join(err, e.hold.release(false))
	}
	return e, nil
}

// begin finds what there is. Where somebody was taken for dead and may be alive, it first makes sure
// that it makes no difference: his next ordinal is used up, and what he has sent has landed.
func (e *execution) begin(ctx context.Context, alive bool) error {
	if err := e.look(ctx); err != nil || e.tookOver == nil && !alive {
		return err
	}
	settle := e.store.times.Settle
	if !alive { // he sends nothing any more: only what is under way is waited for, where it matters
		now := time.Now()
		e.hold.mark(versions.Mark{At: now, Until: now.Add(settle)})
		return nil
	}
	what := "can write nothing more"
	for {
		made, err := e.store.client.Create(ctx, secrets, e.store.options.Namespace, e.fence(e.used+1))
		if err == nil && readHolder(kube.Meta(made).GetAnnotations()[noteHolder]).Identity == e.hold.holder.Identity {
			break
		}
		if refusesFences(err) {
			// His Lease is over all the same, or he finds out soon that it is not his.
			e.store.log.Warn(fmt.Sprintf("execution %s: nothing can be written that keeps its process from writing: %v", e.id, err))
			what, settle = "changes nothing more without its Lease", settle+e.store.times.Stop
			break
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		if err := e.look(ctx); err != nil { // he was not dead after all, and flushed
			return err
		}
	}
	e.store.log.Info(fmt.Sprintf("execution %s: its process %s; waiting %s until what it sent has landed", e.id, what, settle))
	if err := patience.Sleep(ctx, settle); err != nil {
		return err
	}
	return e.look(ctx)
}

// look reads what the execution has.
func (e *execution) look(ctx context.Context) error {
	objects, err := e.store.objects(ctx, e.id)
	if err != nil {
		return err
	}
	x := e.store.entries(e.id, objects)
	e.known.Lock()
	defer e.known.Unlock()
	e.addKept(&x)
	e.files, e.older, e.used, e.removed = x.files, x.older, max(x.used, e.used), nil
	for _, left := range x.rest {
		e.removed = append(e.removed, entry{secret: left.secret, uid: left.uid})
	}
	for _, x := range x.files {
		e.newest = max(e.newest, x.Timestamp)
	}
	return nil
}

// ID implements versions.Execution.
func (e *execution) ID() string { return e.id }

// RunUUID implements versions.Execution.
func (e *execution) RunUUID() string { return e.runUUID }

// Location implements versions.Execution.
func (e *execution) Location() string { return e.store.locate(e.id) }

// Warnings implements versions.Execution.
func (e *execution) Warnings() []string { return nil }

// TookOver implements versions.Execution.
func (e *execution) TookOver() (versions.Holder, bool) {
	if e.tookOver == nil {
		return versions.Holder{}, false
	}
	return e.tookOver.Holder, true
}

// enter keeps Close waiting until leave. Nothing more is done once somebody else has the execution.
func (e *execution) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.using.RLock()
	if e.closed {
		err = versions.ErrClosed
	} else {
		err = e.LostTo()
	}
	if err != nil {
		e.using.RUnlock()
		return nil, err
	}
	return e.using.RUnlock, nil
}

// own refuses files of other executions.
func (e *execution) own(f versions.File) error {
	if f.Execution != e.id {
		return fmt.Errorf("version file %q: got one of execution %q, want %q", f.Name, f.Execution, e.id)
	}
	_, err := versions.ParseFile(f.Execution, f.Name)
	return err
}

// entry finds a file by its name, which has its state.
func (e *execution) entry(f versions.File) (entry, error) {
	if err := e.own(f); err != nil {
		return entry{}, err
	}
	e.known.Lock()
	defer e.known.Unlock()
	x, ok := e.files[f.Key()]
	if !ok || x.Name != f.Name {
		return entry{}, notThere("version file", f.Name)
	}
	return x, nil
}

// Probe implements versions.Execution: the server checks a Secret as it would that of a file.
func (e *execution) Probe(ctx context.Context) error {
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	content := bytes.Repeat([]byte("# probe\n"), 8<<10)
	f, err := versions.NewFile(e.id, "probe", 0, content)
	if err != nil {
		return err
	}
	packed, err := pack(content)
	if err == nil {
		e.known.Lock()
		ordinal := e.used + 1
		e.known.Unlock()
		_, err = e.store.client.Create(kube.WithDryRun(ctx), secrets, e.store.options.Namespace, e.object(f, ordinal, e.store.targetUID(ctx), content, packed))
	}
	if err != nil {
		return fmt.Errorf("no version file can be written to %s: %w", e.Location(), err)
	}
	return nil
}

// Files implements versions.Execution.
func (e *execution) Files(ctx context.Context) ([]versions.File, error) {
	leave, err := e.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := e.refresh(ctx); err != nil {
		return nil, err
	}
	e.known.Lock()
	defer e.known.Unlock()
	files := []versions.File{}
	for _, x := range e.files {
		files = append(files, x.File)
	}
	versions.SortFiles(files)
	return files, nil
}

// Read implements versions.Execution.
func (e *execution) Read(ctx context.Context, f versions.File) ([]byte, error) {
	leave, err := e.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	x, err := e.entry(f)
	if err != nil {
		return nil, err
	}
	if content, ok, err := e.keptContent(x); ok {
		return content, err // the API server has said that this is what it has
	}
	return e.store.read(ctx, x, e.hold.lease.uid)
}

// MarkInFlight implements versions.Execution. It costs no request: the note gets into the Lease
// with its next renewal, and of a holder that died before, any request may be under way. It fails
// if this holder may be taken for dead.
func (e *execution) MarkInFlight(m versions.Mark) (func() error, error) {
	leave, err := e.enter(context.Background())
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := e.alive(); err != nil {
		return nil, err
	}
	mark := e.mark(m)
	return func() error {
		e.using.RLock()
		defer e.using.RUnlock()
		if e.closed {
			return versions.ErrClosed
		}
		e.unmark(mark)
		return nil
	}, nil
}

// InFlight implements versions.Execution.
func (e *execution) InFlight(ctx context.Context) ([]versions.Mark, error) {
	leave, err := e.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return e.inFlight(), nil
}

// Close implements versions.Execution. It may be called again.
func (e *execution) Close() error {
	e.using.Lock()
	defer e.using.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	e.known.Lock()
	empty, rest, kept := len(e.files) == 0, len(e.removed) > 0, len(e.kept) > 0
	e.known.Unlock()
	if kept && e.LostTo() == nil {
		e.rescue()
	}
	if e.LostTo() != nil || !empty && !rest {
		return e.hold.release(false)
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
	defer cancel()
	gone, err := e.tidy(ctx)
	return errors.Join(err, e.hold.release(gone && err == nil))
}

// tidy removes what is left of files that were removed, and reports whether nothing else is there.
// A fence stays as long as the execution does: whom it keeps out may still wake up.
func (e *execution) tidy(ctx context.Context) (empty bool, err error) {
	objects, err := e.store.objects(ctx, e.id)
	if err != nil {
		return false, err
	}
	x := e.store.entries(e.id, objects)
	empty = len(x.files) == 0 && len(x.rest) == len(objects)
	for _, left := range x.rest {
		if !empty && left.fence {
			continue
		}
		err = errors.Join(err, e.delete(ctx, entry{secret: left.secret, uid: left.uid}))
	}
	return empty, err
}

func (e *execution) delete(ctx context.Context, x entry) error {
	err := e.store.client.Delete(ctx, secrets, e.store.options.Namespace, x.secret, kube.DeleteOptions{UID: x.uid})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// isMissing is for a file that is gone, which is what was wanted.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) || apierrors.IsNotFound(err) }

// readOnly gives an error the kind of a store that takes no change at all.
func readOnly(err error) error {
	if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "may not") {
		return fmt.Errorf("%w: %w", versions.ErrReadOnly, err)
	}
	return err
}
