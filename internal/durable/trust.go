package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// InsecureError means that a directory or file is refused because another user could have created
// it or written to it.
type InsecureError struct {
	Path    string
	Problem string // continues the sentence after the path
	Remedy  string // the command to type
}

func (e *InsecureError) Error() string { return fmt.Sprintf("%q %s", e.Path, e.Problem) }

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// Open opens a directory that must be ours alone. It is not a link, belongs to the effective user,
// and only that user can write to it. Its parents belong to root or us, and are sticky if others
// can write to them. Otherwise the error is an *InsecureError. With create, the missing part of the
// path is made with mode 0700, each directory on stable storage before the next. Without, a missing
// directory is an error that wraps [fs.ErrNotExist].
func Open(system System, path string, create bool) (*Dir, error) {
	return checker{}.open(system, path, create)
}

// OpenVolume is Open for a directory on a volume of a pod. The mount of a volume belongs to root,
// and others in the pod can write to it. Such a directory is accepted as a parent. What is below it
// must belong to us, or be such a volume, too. Others can then remove or rename our directory, but
// can't replace it by one of theirs. Group permissions that the kubelet has added to what is ours
// are removed.
func OpenVolume(system System, path string, create bool) (*Dir, error) {
	return checker{volume: true}.open(system, path, create)
}

// IsVolume reports whether [OpenVolume] accepts the directory at a path as a parent, but not as one
// of ours.
func IsVolume(path string) bool {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false
	}
	info := newInfo(&st)
	return isVolume(info) && checker{volume: true}.ours(path, info, "directory") != nil
}

// Volumes returns the parents of a path that only [OpenVolume] accepts.
func Volumes(path string) []string {
	var found []string
	for parent := filepath.Dir(path); parent != "/"; parent = filepath.Dir(parent) {
		var st unix.Stat_t
		if err := unix.Stat(parent, &st); err != nil {
			continue // not made yet
		}
		if info := newInfo(&st); strictParent(parent, info) != nil && isVolume(info) {
			found = append(found, parent)
		}
	}
	return found
}

func (c checker) open(system System, path string, create bool) (*Dir, error) {
	dir, err := c.walk(system, path, create)
	if err != nil {
		return nil, c.withRemedy(path, err)
	}
	return dir, nil
}

func (c checker) walk(system System, path string, create bool) (*Dir, error) {
	parent, names, err := c.resolve(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	names = append(names, filepath.Base(path))
	f, err := os.OpenFile(parent, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		// Parents that we may pass but not read are fine, unless something must be created in them.
		if errors.Is(err, fs.ErrPermission) && len(names) == 1 {
			return c.openUnder(system, parent, names[0])
		}
		return nil, err
	}
	dir := &Dir{checker: c, f: f, system: system}
	// Check the opened directory, and not what had that name a moment before: see resolve.
	info, err := stat(f)
	if err == nil {
		err = c.parent(parent, info)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	made := false
	for i, name := range names {
		sub, err := dir.next(name, i == len(names)-1)
		if create && errors.Is(err, fs.ErrNotExist) {
			sub, err = dir.makeDir(name, !made)
			made = true
		}
		if err = errors.Join(err, dir.Close()); err != nil {
			if sub != nil {
				err = errors.Join(err, sub.Close())
			}
			return nil, err
		}
		dir = sub
	}
	return dir, nil
}

// next opens the next directory of a path: one of ours or, before that, a volume in a volume.
func (d *Dir) next(name string, last bool) (*Dir, error) {
	sub, err := d.OpenDir(name)
	if last || !d.volume || !errors.As(err, new(*InsecureError)) {
		return sub, err
	}
	below, enterErr := d.Enter(name)
	if enterErr != nil {
		return nil, err
	}
	info, statErr := stat(below.f)
	if statErr != nil || below.parent(below.Path(), info) != nil {
		return nil, errors.Join(err, below.Close())
	}
	return below, nil
}

// makeDir creates and opens a directory. If another process of this user was faster, that is fine.
func (d *Dir) makeDir(name string, first bool) (*Dir, error) {
	// A process that died between mkdir and fsync may have left a parent whose own entry is not on
	// the disk yet. That can only be the deepest existing one: each is on the disk before the next
	// is created. The root has no entry.
	if first && d.Path() != "/" {
		if err := d.SyncEntry(); err != nil {
			return nil, err
		}
	}
	err := d.Mkdir(name)
	if errors.Is(err, fs.ErrExist) {
		err = d.Sync()
	}
	if err != nil {
		return nil, err
	}
	return d.OpenDir(name)
}

// SyncEntry waits until the directory's own entry is on stable storage: another process may have
// just created it.
func (d *Dir) SyncEntry() error {
	f, err := os.OpenFile(filepath.Dir(d.Path()), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrPermission) {
		// An administrator has made d in a parent that we can't read, long ago.
		return nil
	}
	if err != nil {
		return err
	}
	parent := &Dir{f: f, system: d.system}
	return errors.Join(parent.Sync(), parent.Close())
}

func (c checker) openUnder(system System, parent, name string) (*Dir, error) {
	path := join(parent, name)
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	dir := &Dir{checker: c, f: f, system: system}
	if err := dir.Check(); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// resolve follows a path from the root and checks every directory and link on the way. It returns
// the real path of what exists, and the names of what doesn't.
//
// It looks at names, which are opened later, and needs no descriptors for that (a parent may be one
// that we can pass and not read): nobody but root and us can change what a checked part of the path
// means, by induction. To rename or remove an entry one has to be able to write its directory,
// which was checked before it and belongs to root or us: others can write it only if it is sticky,
// and then they can't touch what is root's or ours, which the entry is. The same holds for where a
// link leads. A name that is missing can be taken by anybody in a sticky directory, and is then
// opened like one that was there: through the directory's descriptor, and checked at its own.
//
// The induction ends at a volume. What is below it is opened and checked one by one, each through
// the descriptor of the one before; the names are those that are returned.
func (c checker) resolve(path string) (real string, names []string, err error) {
	real = "/"
	rest := split(path)
	var st unix.Stat_t
	if err := unix.Lstat(real, &st); err != nil {
		return "", nil, &fs.PathError{Op: "lstat", Path: real, Err: err}
	}
	if err := c.parent(real, newInfo(&st)); err != nil {
		return "", nil, err
	}
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." { // of a link's target; real has no links, so this is its parent
			real = filepath.Dir(real)
			continue
		}
		next := join(real, name)
		var st unix.Stat_t
		err := unix.Lstat(next, &st)
		if errors.Is(err, unix.ENOENT) {
			return real, append([]string{name}, rest...), nil
		}
		if err != nil {
			return "", nil, &fs.PathError{Op: "lstat", Path: next, Err: err}
		}
		info := newInfo(&st)
		if info.mode&unix.S_IFMT == unix.S_IFLNK {
			if links++; links > maxLinks {
				return "", nil, &fs.PathError{Op: "lstat", Path: path, Err: unix.ELOOP}
			}
			if !rootOrOurs(info.uid) {
				return "", nil, &InsecureError{next, fmt.Sprintf("is a symbolic link of user %d, want %d or root", info.uid, ourUID()), ownDirectory}
			}
			target, err := os.Readlink(next)
			if err != nil {
				return "", nil, err
			}
			if filepath.IsAbs(target) {
				real = "/"
			}
			rest = append(split(target), rest...)
			continue
		}
		if err := c.parent(next, info); err != nil {
			return "", nil, err
		}
		real = next
		if strictParent(next, info) != nil {
			if slices.Contains(rest, "..") {
				return "", nil, &InsecureError{path, fmt.Sprintf("leads through a link out of %q, which others can write to", next), ownDirectory}
			}
			return real, rest, nil
		}
	}
	return real, nil, nil
}

func split(path string) []string {
	return strings.FieldsFunc(filepath.ToSlash(path), func(r rune) bool { return r == '/' })
}
