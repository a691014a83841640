package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const othersWrite = 0o022

// checker decides what is ours alone. With volume, it accepts the volumes of pods: see
// [OpenVolume].
type checker struct{ volume bool }

// parent returns an error unless only root and this user can change which file a name in the
// directory stands for. With volume, it also accepts volumes, in which other users of the pod can
// do that.
func (c checker) parent(path string, info Info) error {
	strict := strictParent(path, info)
	if strict != nil && c.volume && isVolume(info) {
		return nil
	}
	return strict
}

func strictParent(path string, info Info) error {
	switch {
	case !info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: unix.ENOTDIR}
	case !rootOrOurs(info.uid):
		return &InsecureError{path, fmt.Sprintf("is a parent directory of user %d, want %d or root", info.uid, os.Geteuid()), ownDirectory}
	case info.mode&othersWrite != 0 && info.mode&unix.S_ISVTX == 0:
		remedy := "chmod go-w " + Quote(path)
		if info.uid != ourUID() && ourUID() != 0 {
			remedy = ownDirectory
		}
		return &InsecureError{path, fmt.Sprintf("is a parent directory that others can write to (mode %04o) without the sticky bit", info.mode&0o7777), remedy}
	}
	return nil
}

// isVolume reports whether a directory looks like a writable volume of a pod: it belongs to root,
// or our group can write to it. Images prepare directories like that for users whose IDs they don't
// know.
func isVolume(info Info) bool {
	return info.IsDir() && (rootOrOurs(info.uid) || info.mode&0o020 != 0 && isOurGroup(info.gid))
}

func isOurGroup(gid uint32) bool {
	if gid == uint32(os.Getegid()) {
		return true
	}
	groups, err := os.Getgroups()
	if err != nil {
		return false
	}
	for _, group := range groups {
		if gid == uint32(group) {
			return true
		}
	}
	return false
}

// CheckDir returns an *InsecureError unless info describes a directory that is ours alone. The path
// is that of an entry in a directory of ours.
func (c checker) CheckDir(path string, info Info) error {
	if !info.IsDir() {
		return &InsecureError{path, "is " + kind(info.mode) + ", not a directory", putAside(path)}
	}
	return c.ours(path, info, "directory")
}

// CheckFile returns an *InsecureError unless info describes a regular file with one name that is
// ours alone. If the file was removed meanwhile, the error wraps [fs.ErrNotExist].
func (c checker) CheckFile(path string, info Info) error {
	if info.mode&unix.S_IFMT != unix.S_IFREG {
		remedy := putAside(path)
		if info.mode&unix.S_IFMT == unix.S_IFLNK {
			remedy = copyFile(path)
		}
		return &InsecureError{path, "is " + kind(info.mode) + ", not a regular file", remedy}
	}
	if err := c.ours(path, info, "file"); err != nil {
		return err
	}
	if info.links == 0 {
		// The kernel can describe a file whose last name is being removed.
		return &fs.PathError{Op: "open", Path: path, Err: unix.ENOENT}
	}
	if info.links != 1 {
		return &InsecureError{path, fmt.Sprintf("is a file with %d names (hard links), want 1", info.links), copyFile(path)}
	}
	return nil
}

func (c checker) ours(path string, info Info, what string) error {
	if info.uid != ourUID() {
		remedy := copyFile(path)
		switch {
		case ourUID() != 0 && info.mode&0o004 == 0: // it can't be copied
			remedy = putAside(path)
		case info.IsDir():
			remedy = CopyDir(path)
		}
		return &InsecureError{path, fmt.Sprintf("is a %s of user %d, want %d", what, info.uid, ourUID()), remedy}
	}
	if info.mode&othersWrite != 0 && !c.isWidened(info) {
		remedy := copyFile(path)
		if info.IsDir() {
			remedy = "chmod go-w " + Quote(path)
		}
		return &InsecureError{path, fmt.Sprintf("is a %s that others can write to (mode %04o)", what, info.mode&0o7777), remedy}
	}
	return nil
}

// isWidened reports whether something of ours looks as the kubelet leaves it when it gives a volume
// to a group: writable by the group. Members of that group are in the pod, and could already write
// to the volume.
func (c checker) isWidened(info Info) bool {
	return c.volume && info.uid == ourUID() && info.mode&othersWrite == 0o020
}

// narrow removes the permissions that the kubelet has added. A file system that does not support
// that keeps them.
func (c checker) narrow(f *os.File, info Info) error {
	if !c.isWidened(info) {
		return nil
	}
	err := f.Chmod(fs.FileMode(info.mode & 0o700))
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// ourUID is cached: a listing compares it with the owners of a hundred thousand files.
var ourUID = sync.OnceValue(func() uint32 { return uint32(os.Geteuid()) })

func rootOrOurs(uid uint32) bool { return uid == 0 || uid == ourUID() }

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

// CheckPath applies the checks of CheckFile to the file at a path. It does not look at the
// directories above.
func CheckPath(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return checker{}.CheckFile(path, newInfo(&st))
}
