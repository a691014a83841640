package versions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// Dir is the store in a directory of the local file system.
type Dir struct {
	path   string
	system durable.System
	trust  Trust

	// settled says that this process has synced the entry of the directory itself. Another process
	// may have created the directory and died before its fsync.
	settling sync.Mutex
	settled  bool

	roots roots            // syncs its entries
	index sharedIndex      // of the pending files
	lines together[[]byte] // of the journal
	lazy  lazyJournal

	noteAfter time.Duration // see dirExecution.note

	// doubtful says that the last journal line of this process may be cut off.
	doubtful atomic.Bool
}

var _ Store = (*Dir)(nil)

// noteAfter is how long an execution is held before the note about its holder is written.
const noteAfter = 100 * time.Millisecond

// NewDir returns the store in a versions directory. The directory need not exist: Begin and Append
// create it. If the path is the volume of a pod, see [TrustVolume], the store is in a directory of
// this user in that volume.
func NewDir(path string, options ...DirOption) (*Dir, error) {
	if path == "" {
		return nil, errors.New("versions directory: got an empty path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if path == "/" {
		return nil, errors.New(`versions directory: got "/", want a directory of its own`)
	}
	d := &Dir{path: path, system: durable.OS{}, noteAfter: noteAfter}
	for _, option := range options {
		option(d)
	}
	d.path = d.trust.place(d.path)
	return d, nil
}

// Locate finds the store and the file of a path. The error wraps [fs.ErrNotExist] if there is no
// such file. Locate only lists: whoever reads the file later checks it again.
func Locate(path string, options ...DirOption) (_ *Dir, _ File, err error) {
	defer exportTo(&err)
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, File{}, err
	}
	name, err := parseFileName(filepath.Base(path))
	if err != nil {
		return nil, File{}, err
	}
	id := filepath.Base(filepath.Dir(path))
	if _, _, err := parseExecutionID(id); err != nil {
		return nil, File{}, err
	}
	d, err := NewDir(filepath.Dir(filepath.Dir(path)), options...)
	if err != nil {
		return nil, File{}, err
	}
	root, err := d.open(false)
	if err != nil {
		return nil, File{}, err
	}
	dir, err := root.OpenDir(id)
	if err = errors.Join(err, root.Close()); err != nil {
		return nil, File{}, err
	}
	info, err := dir.Lstat(name.String())
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, File{}, err
	}
	return d, newFile(id, d.path+"/"+id, name, info), nil
}

// Location implements Store.
func (d *Dir) Location() string { return d.path }

func (d *Dir) open(create bool) (*durable.Dir, error) { return d.trust.open(d.system, d.path, create) }

// Begin implements Store.
func (d *Dir) Begin(ctx context.Context, runUUID string) (_ Execution, err error) {
	defer exportChange(&err)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Before anything is created: an invalid UUID must leave nothing behind.
	if _, err := executionID(1, runUUID); err != nil {
		return nil, err
	}
	root, err := d.open(true)
	if err != nil {
		return nil, err
	}
	e, err := d.begin(ctx, root, runUUID)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return e, nil
}

func (d *Dir) begin(ctx context.Context, root *durable.Dir, runUUID string) (*dirExecution, error) {
	if err := d.settle(root); err != nil {
		return nil, err
	}
	names, err := root.Names()
	if err != nil {
		return nil, err
	}
	var newest int64
	for _, name := range names {
		if timestamp, _, err := parseExecutionID(name); err == nil {
			newest = max(newest, timestamp)
		}
	}
	for ctx.Err() == nil {
		id, err := executionID(stamps.after(newest, time.Now()), runUUID)
		if err != nil {
			return nil, err
		}
		err = root.Mkdir(id)
		if errors.Is(err, fs.ErrExist) {
			continue // another process has the same timestamp
		}
		if err != nil {
			return nil, err
		}
		e, err := d.lock(root, id)
		var locked *LockedError
		if errors.As(err, &locked) || errors.Is(err, fs.ErrNotExist) {
			continue // a replay has removed it meanwhile, because it was empty
		}
		if err != nil {
			// It is empty, so an error of the removal loses nothing.
			_, rmErr := root.Rmdir(id)
			return nil, errors.Join(err, rmErr)
		}
		e.settled = true
		e.note(0)
		return e, nil
	}
	return nil, ctx.Err()
}

func (d *Dir) settle(root *durable.Dir) error {
	d.settling.Lock()
	defer d.settling.Unlock()
	if d.settled {
		return nil
	}
	err := root.SyncEntry()
	d.settled = err == nil
	return err
}

// Open implements Store.
func (d *Dir) Open(ctx context.Context, id string) (_ Execution, err error) {
	defer exportTo(&err)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, _, err := parseExecutionID(id); err != nil {
		return nil, err
	}
	root, err := d.open(false)
	if err != nil {
		return nil, err
	}
	e, err := d.lock(root, id)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	// An undo continues even if the disk can't sync. Sync before the note is written: it is faster then.
	e.warn(e.settle())
	e.note(d.noteAfter)
	return e, nil
}

// Busy implements Store.
func (d *Dir) Busy(ctx context.Context, id string) (err error) {
	defer exportTo(&err)
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, _, err := parseExecutionID(id); err != nil {
		return err
	}
	root, err := d.open(false)
	if err != nil {
		return err
	}
	dir, err := root.OpenDir(id)
	if err = errors.Join(err, root.Close()); err != nil {
		return err
	}
	busy, err := dir.Locked()
	if err == nil && busy {
		err = &LockedError{Execution: id, Location: dir.Path(), Holder: liveHolder(dir)}
	}
	return errors.Join(err, dir.Close())
}

// lock returns the execution with its lock taken; root is the execution's from then on.
func (d *Dir) lock(root *durable.Dir, id string) (*dirExecution, error) {
	dir, err := root.OpenDir(id)
	if err != nil {
		return nil, err
	}
	free, err := dir.TryLock()
	if err == nil && !free {
		err = &LockedError{Execution: id, Location: dir.Path(), Holder: liveHolder(dir)}
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	// The last holder may have removed the directory between open and lock. Then the lock is on a
	// removed directory. No execution gets the same name again, so a second attempt would not help.
	same, err := root.Is(id, dir)
	if err == nil && !same {
		err = &fs.PathError{Op: "lock", Path: dir.Path(), Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	e, err := newDirExecution(&d.roots, root, dir, id)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return e, nil
}

// Read implements Store.
func (d *Dir) Read(ctx context.Context, f File) (content []byte, err error) {
	defer exportTo(&err)
	return d.inExecution(ctx, f, func(dir *durable.Dir) ([]byte, error) { return readFile(dir, f) })
}

// inExecution calls do with the directory of a file's execution.
func (d *Dir) inExecution(ctx context.Context, f File, read func(*durable.Dir) ([]byte, error)) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, _, err := parseExecutionID(f.Execution); err != nil {
		return nil, err
	}
	root, err := d.open(false)
	if err != nil {
		return nil, err
	}
	dir, err := root.OpenDir(f.Execution)
	if err = errors.Join(err, root.Close()); err != nil {
		return nil, err
	}
	content, err := read(dir)
	return content, errors.Join(err, dir.Close())
}

// Original implements Store.
func (d *Dir) Original(ctx context.Context, f File) (content []byte, err error) {
	defer exportTo(&err)
	if _, err := parseFileName(f.Name); err != nil {
		return nil, err
	}
	return d.inExecution(ctx, f, func(dir *durable.Dir) ([]byte, error) {
		return dir.ReadFile(originalName(f), MaxFileSize)
	})
}

func readFile(dir *durable.Dir, f File) ([]byte, error) {
	if _, err := parseFileName(f.Name); err != nil {
		return nil, err
	}
	return dir.ReadFile(f.Name, MaxFileSize)
}

func newFile(id, path string, name fileName, info durable.Info) File {
	// One allocation has all texts: a replay holds a hundred thousand files.
	location := path + "/" + name.String()
	printed := location[len(path)+1:]
	if strings.HasSuffix(path, "/"+id) {
		id = location[len(path)-len(id) : len(path)]
	}
	return File{
		Execution: id, Name: printed, ScenarioType: printed[:len(name.scenarioType)], Timestamp: name.timestamp, Kind: name.kind, State: name.state,
		Size: info.Size, Changed: info.Changed, Location: location,
	}
}

func newestFirst(a, b File) int {
	return cmp.Or(cmp.Compare(b.Timestamp, a.Timestamp), cmp.Compare(b.Name, a.Name))
}

func checkContent(content []byte) error {
	if len(content) == 0 {
		return errors.New("version file: got no content")
	}
	if len(content) > MaxFileSize {
		return fmt.Errorf("version file: got %d bytes, want at most %d", len(content), MaxFileSize)
	}
	return nil
}

func sortFiles(files []File) { slices.SortFunc(files, newestFirst) }
