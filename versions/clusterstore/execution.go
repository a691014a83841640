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

// execution is an execution that this process holds.
type execution struct {
	*hold
	runUUID  string
	tookOver *holder
	began    string // UID of the Lease when it was taken, which signatures of earlier holders have

	// Methods hold it for reading, Close for writing. So no method is at work when the execution is
	// given up.
	using  sync.RWMutex
	closed bool

	writing sync.Mutex // one file at a time, so that ordinals have no gaps

	known   sync.Mutex // guards the rest
	used    int        // ordinal
	newest  int64      // timestamp
	files   map[string]entry
	older   map[string][]entry
	removed []entry // files that were removed; their ordinals stay used
	kept    map[string]*keptFile
}

var (
	_ versions.TwinExecution = (*execution)(nil)
	_ versions.Losable       = (*execution)(nil)
)

// newExecution returns an execution whose Lease was just taken.
func (s *Store) newExecution(ctx context.Context, id string, h holder, l leaseState, began time.Duration, tookOver *holder, alive bool) (*execution, error) {
	_, runUUID, err := versions.ParseExecutionID(id)
	if err != nil {
		return nil, err
	}
	e := &execution{
		hold: s.hold(id, h, l, began), runUUID: runUUID, tookOver: tookOver, began: l.uid,
		files: map[string]entry{}, older: map[string][]entry{}, kept: map[string]*keptFile{},
	}
	e.hold.recheck = e.recheck
	e.hold.start()
	if err := e.begin(ctx, alive); err != nil {
		return nil, errors.Join(err, e.hold.release(false))
	}
	return e, nil
}

// begin reads the files of the execution. If the earlier holder was taken for dead and may be
// alive, begin first makes sure that it can do no harm: it creates the next ordinal, and waits
// until the requests of the earlier holder have arrived.
func (e *execution) begin(ctx context.Context, alive bool) error {
	if err := e.look(ctx); err != nil || e.tookOver == nil && !alive {
		return err
	}
	settle := e.store.times.Settle
	if !alive { // it sends nothing more; an undo waits for the requests under way where it matters
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
			// The Lease of the earlier holder has expired all the same, or the holder soon finds
			// that it lost the Lease.
			e.store.log.Warn(fmt.Sprintf("execution %s: its process can't be kept from writing: %v", e.id, err))
			what, settle = "changes nothing more without its Lease", settle+e.store.times.Stop
			break
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		if err := e.look(ctx); err != nil { // it was alive after all, and has flushed
			return err
		}
	}
	e.store.log.Info(fmt.Sprintf("execution %s: its process %s; waiting %s until its requests have arrived", e.id, what, settle))
	if err := patience.Sleep(ctx, settle); err != nil {
		return err
	}
	return e.look(ctx)
}

// look reads the Secrets of the execution.
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

// enter makes Close wait until leave is called. It fails if another process has the execution.
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

// own returns an error unless the file belongs to this execution.
func (e *execution) own(f versions.File) error {
	if f.Execution != e.id {
		return fmt.Errorf("version file %q: got one of execution %q, want %q", f.Name, f.Execution, e.id)
	}
	_, err := versions.ParseFile(f.Execution, f.Name)
	return err
}

// entry finds a file by its name, which includes its state.
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

// Probe implements versions.Execution. The server checks a Secret as it would check that of a file,
// and stores nothing.
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
		_, err = e.store.client.Create(kube.WithDryRun(ctx), secrets, e.store.options.Namespace, e.object(f, ordinal, e.signed(ctx), content, packed))
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
		return content, err // the API server has confirmed this content
	}
	return e.store.read(ctx, x, e.began)
}

// MarkInFlight implements versions.Execution. It sends no request: the mark is written into the
// Lease with the next renewal. If the holder dies before, any request may be under way. It fails if
// another process may take this holder for dead.
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

// Close implements versions.Execution. It may be called several times.
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
		ctx, cancel := context.WithTimeout(patience.Impatient(context.Background()), soon)
		_ = e.rescue(ctx) // the log has the error, and the files are as they were
		cancel()
	}
	if e.LostTo() != nil || !empty && !rest {
		return e.hold.release(false)
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseLimit)
	defer cancel()
	gone, err := e.tidy(ctx)
	return errors.Join(err, e.hold.release(gone && err == nil))
}

// tidy removes what is left of removed files. It returns true if nothing else is left. A fence
// stays as long as the execution, because the process that it keeps from writing may continue
// later.
func (e *execution) tidy(ctx context.Context) (empty bool, err error) {
	objects, err := e.store.objects(ctx, e.id)
	if err != nil {
		return false, err
	}
	x := e.store.entries(e.id, objects)
	e.known.Lock()
	for key, left := range x.files {
		// The answer to its create was lost, and the caller was told that there is no such file.
		if _, ok := e.files[key]; !ok && readHolder(left.holder).Identity == e.hold.holder.Identity {
			delete(x.files, key)
			x.rest = append(x.rest, leftover{secret: left.secret, uid: left.uid})
		}
	}
	e.known.Unlock()
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

// isMissing reports whether a file is gone, which is the wanted result.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) || apierrors.IsNotFound(err) }

// readOnly adds the kind of a read-only store to an error.
func readOnly(err error) error {
	if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "may not") {
		return fmt.Errorf("%w: %w", versions.ErrReadOnly, err)
	}
	return err
}
