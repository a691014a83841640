package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"
)

// FS reads the tree below a directory that must be ours alone, and so must be everything in it that
// is read: see [Open].
type FS struct {
	System System
	Path   string
	Most   int64 // bytes of one file
}

var (
	_ fs.FS        = FS{}
	_ fs.ReadDirFS = FS{}
)

// open opens the directory at a slash-separated path below the root.
func (f FS) open(name string) (*Dir, error) {
	dir, err := Open(f.System, f.Path, false)
	if err != nil || name == "." {
		return dir, err
	}
	for part := range strings.SplitSeq(name, "/") {
		sub, err := dir.OpenDir(part)
		if err := errors.Join(err, dir.Close()); err != nil {
			return nil, err
		}
		dir = sub
	}
	return dir, nil
}

// Open implements fs.FS. Directories are for ReadDir only.
func (f FS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) || name == "." {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	parent, base := ".", name
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		parent, base = name[:i], name[i+1:]
	}
	dir, err := f.open(parent)
	if err != nil {
		return nil, err
	}
	content, err := dir.ReadFile(base, f.Most)
	if err := errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	return &memoryFile{entry{base, false, int64(len(content))}, bytes.NewReader(content)}, nil
}

// ReadDir implements fs.ReadDirFS.
func (f FS) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	dir, err := f.open(name)
	if err != nil {
		return nil, err
	}
	names, err := dir.Names()
	var entries []fs.DirEntry
	for _, base := range names {
		info, statErr := dir.Lstat(base)
		if statErr != nil {
			err = errors.Join(err, statErr)
			continue
		}
		entries = append(entries, entry{base, info.IsDir(), info.Size})
	}
	return entries, errors.Join(err, dir.Close())
}

// memoryFile is a file that was read whole while it was checked.
type memoryFile struct {
	entry
	io.Reader
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.entry, nil }
func (f *memoryFile) Close() error               { return nil }

// entry is what a reader of scripts asks of a file.
type entry struct {
	name string
	dir  bool
	size int64
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) Size() int64                { return e.size }
func (e entry) ModTime() time.Time         { return time.Time{} }
func (e entry) Sys() any                   { return nil }

func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}
