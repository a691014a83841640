package durable

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// AppendLines durably adds lines, each of which ends in a newline, to a file that must be ours
// alone. It creates the file if it is missing. The caller must sync the directory afterwards, each
// time: another process may have created the file and died before its sync, or somebody may have
// rotated it.
//
// After an error, the lines may have been written in whole or in part.
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

// Lines is an open file for appending lines.
type Lines struct {
	dir  *Dir
	name string
	f    *os.File
	end  int64 // end of our last line
}

// OpenLines opens a file for [Lines.Append]. The file must be ours alone. OpenLines creates it if
// it is missing.
func (d *Dir) OpenLines(name string) (*Lines, error) {
	f, err := d.openAppend(name)
	if err != nil {
		return nil, err
	}
	return &Lines{dir: d, name: name, f: f}, nil
}

// Append adds lines, each of which ends in a newline. It writes each in one call, so that short
// lines of several processes are not mixed. If a crash or a full disk has cut off the last line of
// the file, Append first ends that line. It does not wait for the disk.
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

// look returns the size of the file, and whether its last line is cut off. If nobody has written
// since our last line, that line is complete.
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

// Sync waits until the appended lines are on stable storage. The caller must sync the directory.
func (l *Lines) Sync() error { return l.dir.system.Sync(l.f) }

// Close closes the file.
func (l *Lines) Close() error { return l.dir.system.Close(l.f) }

// IsAt reports whether a path leads to d, and d is still ours alone. That is enough to continue
// with a directory that was opened by that path, whoever can write above it now. Nothing is done
// through the path, and a directory that was put in its place is a different one.
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
