package versions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// fileMode makes a version file executable, for its shebang, and hides it from other users.
const fileMode = 0o700

// probeSize is larger than any undo of the built-in scripts, and takes no noticeable time.
const probeSize = 64 << 10

// dirExecution is an execution in a directory. The lock is on the descriptor of dir, and ends with
// it.
type dirExecution struct {
	roots     *roots // of the store
	root, dir *durable.Dir
	id        string
	runUUID   string
	floor     int64 // the newest timestamp that was there when it was opened
	marks     marks
	opened    time.Time
	tookOver  *Holder
	warnings  []string
	noting    *time.Timer // nil if the note was written at once

	// settled says that the changes of earlier holders are on stable storage.
	settling sync.Mutex
	settled  bool

	// Methods hold it for reading, Close for writing. So no method is at work when the execution is
	// unlocked.
	mu     sync.RWMutex
	closed bool
}

func newDirExecution(roots *roots, root, dir *durable.Dir, id string) (*dirExecution, error) {
	_, runUUID, err := parseExecutionID(id)
	if err != nil {
		return nil, err
	}
	e := &dirExecution{roots: roots, root: root, dir: dir, id: id, runUUID: runUUID, opened: time.Now()}
	names, err := dir.Names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if parsed, err := parseFileName(name); err == nil {
			e.floor = max(e.floor, parsed.timestamp)
		}
		e.marks.seen(name)
		switch {
		case durable.IsTemp(name): // its writer is dead: this process has the lock
			e.warn(dir.Unlink(name))
		case name == holderName:
			holder := readHolder(dir)
			e.tookOver = &holder
		}
	}
	// An undo continues on a full disk. A missing note about the holder is no error.
	if e.tookOver != nil {
		e.warn(dir.Unlink(holderName))
	}
	return e, nil
}

// note writes who holds the execution, for messages. For an execution that was opened, it does so
// only after some time, because most replays end sooner. Each note is a new inode. On some file
// systems that is expensive just after many inodes were removed.
func (e *dirExecution) note(after time.Duration) {
	if after == 0 {
		e.warn(writeHolder(e.dir))
		return
	}
	e.noting = time.AfterFunc(after, func() {
		if leave, err := e.enter(context.Background()); err == nil {
			defer leave()
			// The warnings were read already, and the note is only for messages.
			_ = writeHolder(e.dir)
		}
	})
}

func (e *dirExecution) warn(err error) {
	if err != nil {
		e.warnings = append(e.warnings, err.Error())
	}
}

// settle syncs what was found in the directory, because a dead holder may not have done so. Other
// files are undone in the belief that this one exists, or is executed. A power loss must not take
// that back. The directory's own entry is synced, too.
func (e *dirExecution) settle() error {
	e.settling.Lock()
	defer e.settling.Unlock()
	if e.settled {
		return nil
	}
	if err := errors.Join(e.roots.sync(e.root), e.dir.Sync()); err != nil {
		return fmt.Errorf("what was done here before might not survive a power loss: %w", err)
	}
	e.settled = true
	return nil
}

func (e *dirExecution) ID() string         { return e.id }
func (e *dirExecution) RunUUID() string    { return e.runUUID }
func (e *dirExecution) Location() string   { return e.dir.Path() }
func (e *dirExecution) Warnings() []string { return e.warnings }

func (e *dirExecution) TookOver() (Holder, bool) {
	if e.tookOver == nil {
		return Holder{}, false
	}
	return *e.tookOver, true
}

// enter makes Close wait until leave is called.
func (e *dirExecution) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.mu.RLock()
	if e.closed {
		e.mu.RUnlock()
		return nil, ErrClosed
	}
	return e.mu.RUnlock, nil
}

// own returns an error unless the file belongs to this execution.
func (e *dirExecution) own(f File) (fileName, error) {
	if f.Execution != e.id {
		return fileName{}, fmt.Errorf("version file %q: got one of execution %q, want %q", f.Name, f.Execution, e.id)
	}
	return parseFileName(f.Name)
}

// Flush implements Execution.
func (e *dirExecution) Flush(ctx context.Context, scenarioType string, content []byte) (_ File, err error) {
	defer exportChange(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return File{}, err
	}
	defer leave()
	if err := checkContent(content); err != nil {
		return File{}, err
	}
	if err := e.settle(); err != nil {
		return File{}, fmt.Errorf("version file not written: %w", err)
	}
	now := time.Now()
	name, err := newFileName(scenarioType, stamps.after(e.floor, now))
	if err != nil {
		return File{}, err
	}
	if err := e.dir.WriteFile(name.String(), content, fileMode); err != nil {
		return File{}, fmt.Errorf("version file not written: %w", err)
	}
	return newFile(e.id, e.dir.Path(), name, durable.Info{Size: int64(len(content)), Changed: now}), nil
}

// Probe implements Execution.
func (e *dirExecution) Probe(ctx context.Context) (err error) {
	defer exportChange(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := errors.Join(e.settle(), e.dir.Probe(probeSize)); err != nil {
		return fmt.Errorf("no version file can be written to %q: %w", e.dir.Path(), err)
	}
	return nil
}

// Files implements Execution.
func (e *dirExecution) Files(ctx context.Context) (_ []File, err error) {
	defer exportTo(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	files, _, err := listFiles(e.dir, e.id, Filter{})
	return files, err
}

// Read implements Execution.
func (e *dirExecution) Read(ctx context.Context, f File) (_ []byte, err error) {
	defer exportTo(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if _, err := e.own(f); err != nil {
		return nil, err
	}
	return readFile(e.dir, f)
}

// Replace implements Execution.
func (e *dirExecution) Replace(ctx context.Context, f File, content []byte) (_ File, err error) {
	defer exportChange(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	name, err := e.pending(f)
	if err == nil {
		err = name.checkContent(KindVersion, content)
	}
	if err != nil {
		return f, err
	}
	if err := e.keepOriginal(f); err != nil {
		return f, fmt.Errorf("version file not changed, its content can't be kept: %w", err)
	}
	if err := e.dir.ReplaceFile(f.Name, content, fileMode); err != nil {
		return f, err
	}
	return newFile(e.id, e.dir.Path(), name, durable.Info{Size: int64(len(content)), Changed: time.Now()}), nil
}

// keepOriginal durably keeps the content of a file, unless it is kept already. If a process is
// killed between this and the change, the original equals the file.
func (e *dirExecution) keepOriginal(f File) error {
	name := originalName(f)
	if _, err := e.dir.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	content, err := readFile(e.dir, f)
	if err != nil {
		return err
	}
	return e.dir.WriteFile(name, content, fileMode)
}

// pending checks that a file belongs to this execution, exists, is secure and is pending. The next
// operation is on the name. Only this user and root could put another file there meanwhile. No link
// is followed, and nothing is read or written through the name. The content is checked at the
// descriptor, each time it is read.
func (e *dirExecution) pending(f File) (fileName, error) {
	name, err := e.own(f)
	if err != nil {
		return name, err
	}
	if name.state != Pending {
		return name, fmt.Errorf("version file %q: got an executed one, want a pending one", f.Name)
	}
	info, err := e.dir.Lstat(f.Name)
	if err != nil {
		return name, err
	}
	return name, e.dir.CheckFile(e.dir.Path()+"/"+f.Name, info)
}

// MarkExecuted implements Execution. It only renames the file: there is no other record of the
// state.
func (e *dirExecution) MarkExecuted(ctx context.Context, f File) (_ File, err error) {
	defer exportChange(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	name, err := e.pending(f)
	if err != nil {
		return f, err
	}
	name.state = Executed
	renamed, err := e.dir.Rename(f.Name, name.String())
	if !renamed {
		return f, err
	}
	return newFile(e.id, e.dir.Path(), name, durable.Info{Size: f.Size, Changed: time.Now()}), err
}

// Remove implements Execution.
func (e *dirExecution) Remove(ctx context.Context, files ...File) (err error) {
	defer exportChange(&err)
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	var names, originals []string
	for _, f := range files {
		name, err := e.own(f)
		if err == nil {
			err = name.checkKind(KindVersion)
		}
		if err != nil {
			return err
		}
		names, originals = append(names, f.Name), append(originals, originalName(f))
	}
	if err := e.dir.Remove(names...); err != nil {
		return err
	}
	// Last, and without a sync: a file that stays has no effect, and is removed with its directory.
	for _, name := range originals {
		if err := e.dir.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close implements Execution. It may be called several times.
func (e *dirExecution) Close() (err error) {
	defer exportChange(&err)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	if e.noting != nil {
		e.noting.Stop()
	}
	// The lock is released last.
	return errors.Join(e.removeLeftovers(time.Now()), e.dir.Close(), e.root.Close())
}

// removeLeftovers removes the bookkeeping files, and the directory if nothing else is in it. This
// need not be durable: what a power loss brings back has no effect, and the next holder removes it.
// Marks that a replay may still need stay.
func (e *dirExecution) removeLeftovers(now time.Time) error {
	names, err := e.dir.Names()
	if err != nil {
		return err
	}
	empty := true
	for _, name := range names {
		empty = empty && isBookkeeping(name)
	}
	var errs []error
	// The lock file is removed last. After that, another process can have a lock file of its own,
	// and write its notes.
	if at := slices.Index(names, durable.LockFile); at >= 0 {
		names = append(slices.Delete(names, at, at+1), durable.LockFile)
	}
	for _, name := range names {
		dead := empty || name == durable.LockFile || name == holderName || durable.IsTemp(name) || (isMark(name) && e.isOver(name, now))
		if !dead || !isBookkeeping(name) {
			continue
		}
		if err := e.dir.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if empty && len(errs) == 0 {
		// Another process may have created a file here since. Then the directory is not empty, and
		// stays.
		if _, err := e.root.Rmdir(e.id); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
