package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// InsecureError says that a directory or file is refused because somebody else might have put it there or written to it.
type InsecureError struct {
	Path    string
	Problem string // reads on after the path
	Remedy  string // the command to type
}

func (e *InsecureError) Error() string { return fmt.Sprintf("%q %s", e.Path, e.Problem) }

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// Open opens a directory that must be ours alone: no link, owned by the effective user, not writable by others, below
// parents that belong to root or us and are sticky where others can write to them. Otherwise the error is an
// *InsecureError. With create, what is missing of the path is made, mode 0700, each entry on stable storage before
// the next; without, it is an error that wraps [fs.ErrNotExist].
func Open(system System, path string, create bool) (*Dir, error) {
	parent, missing, err := resolve(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	missing = append(missing, filepath.Base(path))
	f, err := os.OpenFile(parent, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		// Parents that we may pass but not read are fine as long as nothing has to be created in them.
		if errors.Is(err, fs.ErrPermission) && len(missing) == 1 {
			return openUnder(system, parent, missing[0])
		}
		return nil, err
	}
	dir := &Dir{f: f, system: system}
	// What was opened, and not what was there a moment before: see resolve.
	info, err := stat(f)
	if err == nil {
		err = checkParentInfo(parent, info)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	for i, name := range missing {
		sub, err := dir.OpenDir(name)
		if create && errors.Is(err, fs.ErrNotExist) {
			sub, err = dir.makeDir(name, i == 0)
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

// makeDir makes and opens a directory. It is fine if somebody else of our user was faster.
func (d *Dir) makeDir(name string, first bool) (*Dir, error) {
	// A process that died between mkdir and fsync may have left us a parent whose own entry isn't on the disk yet. Only the deepest
	// one that exists can be such: each is on the disk before the next is made in it. The root has no entry.
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

// SyncEntry waits until the directory's own entry is on stable storage, for a directory that somebody else may have just made.
func (d *Dir) SyncEntry() error {
	f, err := os.OpenFile(filepath.Dir(d.Path()), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		// A parent that we can't read is one that an administrator made d in, long ago.
		return nil
	}
	if err != nil {
		return err
	}
	parent := &Dir{f: f, system: d.system}
	return errors.Join(parent.Sync(), parent.Close())
}

func openUnder(system System, parent, name string) (*Dir, error) {
	path := join(parent, name)
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	dir := &Dir{f: f, system: system}
	if err := dir.Check(); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// resolve follows a path from the root and checks every directory and link on the way. It returns the real path
// of what exists, and the names of what doesn't.
//
// It looks at names, which are opened later, and needs no descriptors for that (a parent may be one that we can pass and not
// read): nobody but root and us can change what a checked part of the path means, by induction. To rename or
// remove an entry one has to be able to write its directory, which was checked before it and belongs to root or us: others
// can write it only if it is sticky, and then they can't touch what is root's or ours, which the entry is. The same holds for
// where a link leads. A name that is missing can be taken by anybody in a sticky directory, and is then opened like one that
// was there: through the directory's descriptor, and checked at its own.
func resolve(path string) (real string, missing []string, err error) {
	real = "/"
	rest := split(path)
	if err := checkParent(real); err != nil {
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
			if !rootOrUs(info.uid) {
				return "", nil, foreign(next, info.uid, "symbolic link")
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
		if err := checkParentInfo(next, info); err != nil {
			return "", nil, err
		}
		real = next
	}
	return real, nil, nil
}

func split(path string) []string {
	return strings.FieldsFunc(filepath.ToSlash(path), func(r rune) bool { return r == '/' })
}

func checkParent(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return checkParentInfo(path, newInfo(&st))
}

func checkParentInfo(path string, info Info) error {
	switch {
	case !info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	case !rootOrUs(info.uid):
		return foreign(path, info.uid, "parent directory")
	case info.mode&0o022 != 0 && info.mode&unix.S_ISVTX == 0:
		return &InsecureError{path, fmt.Sprintf("is a parent directory that others can write to (mode %04o) without the sticky bit", info.mode&0o7777), "chmod go-w " + Quote(path)}
	}
	return nil
}

// CheckDir returns an *InsecureError unless info is of a directory of ours alone.
func CheckDir(path string, info Info) error {
	if !info.IsDir() {
		return &InsecureError{path, "is " + kind(info.mode) + ", not a directory", "rm " + Quote(path)}
	}
	return checkOurs(path, info, "directory")
}

// CheckFile returns an *InsecureError unless info is of a regular file of ours alone, with one name. For a file that was removed meanwhile
// the error wraps [fs.ErrNotExist].
func CheckFile(path string, info Info) error {
	if info.mode&unix.S_IFMT != unix.S_IFREG {
		remedy := "rm " + Quote(path)
		if info.IsDir() {
			remedy = "rm -r " + Quote(path)
		}
		return &InsecureError{path, "is " + kind(info.mode) + ", not a regular file", remedy}
	}
	if err := checkOurs(path, info, "file"); err != nil {
		return err
	}
	if info.links == 0 {
		// The kernel can describe a file whose last name is just being removed.
		return &fs.PathError{Op: "open", Path: path, Err: unix.ENOENT}
	}
	if info.links != 1 {
		q := Quote(path)
		return &InsecureError{path, fmt.Sprintf("is a file with %d names (hard links), want 1", info.links), "cp -p " + q + " " + Quote(path+".copy") + " && mv " + Quote(path+".copy") + " " + q}
	}
	return nil
}

func checkOurs(path string, info Info, what string) error {
	if info.uid != uint32(os.Geteuid()) {
		return foreign(path, info.uid, what)
	}
	if info.mode&0o022 != 0 {
		return &InsecureError{path, fmt.Sprintf("is a %s that others can write to (mode %04o)", what, info.mode&0o7777), "chmod 0700 " + Quote(path)}
	}
	return nil
}

func foreign(path string, uid uint32, what string) error {
	us := os.Geteuid()
	return &InsecureError{path, fmt.Sprintf("is a %s of user %d, want %d", what, uid, us), fmt.Sprintf("chown -h %d %s", us, Quote(path))}
}

func rootOrUs(uid uint32) bool { return uid == 0 || uid == uint32(os.Geteuid()) }

func kind(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a regular file"
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	default:
		return "a device"
	}
}

// CopyDir returns the command that puts a copy of a directory in its place, which nobody else has open.
func CopyDir(path string) string {
	p, c, old := Quote(path), Quote(path+".copy"), Quote(path+".old")
	return "(umask 077 && cp -RL " + p + " " + c + ") && mv " + p + " " + old + " && mv " + c + " " + p
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Quote makes one shell word of a path. Names can hold anything, and remedies are there to be pasted.
func Quote(path string) string {
	if plain.MatchString(path) {
		return path
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(path) {
		switch c := path[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
