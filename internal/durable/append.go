package durable

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// AppendLines durably adds lines, each of which ends in a newline, to a file that must be ours alone,
// and makes the file if it is missing. The caller syncs the directory afterwards. Each time, and
// not only when this call made the file: another process may have, and died before that, or somebody who
// rotates files.
//
// After an error the lines may be there all the same, whole or in part.
func (d *Dir) AppendLines(name string, lines ...[]byte) error {
	l, err := d.OpenLines(name)
	if err != nil {
		return err
	}
	err = l.Append(lines...)
	if err == nil {
		err = l.Sync()
	}
	return errors.Join(err, l.Close())
}

// Lines is a file that lines are appended to, open.
type Lines struct {
	dir  *Dir
	name string
	f    *os.File
	end  int64 // where our last line ended
}

// OpenLines opens a file for [Lines.Append], which must be ours alone, and makes it if it is missing.
func (d *Dir) OpenLines(name string) (*Lines, error) {
	f, err := d.openAppend(name)
	if err != nil {
		return nil, err
	}
	return &Lines{dir: d, name: name, f: f}, nil
}

// Append adds lines, each of which ends in a newline. It writes each at once, so that a short line isn't
// interleaved with those of other processes. A last line that a crash or a full disk tore off gets its end
// first: otherwise it would swallow the next one too. It does not wait for the disk.
func (l *Lines) Append(lines ...[]byte) error {
	torn, size, err := l.look()
	if err != nil {
		return err
	}
	for _, line := range lines {
		if torn {
			line = append([]byte{'\n'}, line...)
		}
		if err := l.dir.writeAll(l.f, line); err != nil {
			return err
		}
		torn, size = false, size+int64(len(line))
	}
	l.end = size
	return nil
}

// look reports whether the file's last line has no end, and the file's size. Where nobody has written
// since our last line, that has an end.
func (l *Lines) look() (torn bool, size int64, err error) {
	info, err := stat(l.f)
	if err != nil || info.Size == 0 || info.Size == l.end {
		return false, info.Size, err
	}
	last := make([]byte, 1)
	_, err = l.f.ReadAt(last, info.Size-1)
	return last[0] != '\n', info.Size, err
}

// Current reports whether the file still has its name, and is ours alone.
func (l *Lines) Current() bool {
	own, err := stat(l.f)
	if err != nil {
		return false
	}
	named, err := l.dir.Lstat(l.name)
	return err == nil && own.dev == named.dev && own.ino == named.ino && l.dir.CheckFile(l.f.Name(), named) == nil
}

// Sync waits until what was appended is on stable storage. The directory is the caller's to sync.
func (l *Lines) Sync() error { return l.dir.system.Sync(l.f) }

// Close closes the file.
func (l *Lines) Close() error { return l.dir.system.Close(l.f) }

// IsAt reports whether a path leads to d, and d is still ours alone. That is enough to go on with a
// directory that was opened by that path, whoever can write above it now: nothing is done through the
// path, and one that was put in its place is another one.
func (d *Dir) IsAt(path string) (bool, error) {
	own, err := stat(d.f)
	if err != nil {
		return false, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	named := newInfo(&st)
	return own.Stamp().SameDir(named.Stamp()) && d.CheckDir(path, own) == nil, nil
}
