package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is an open directory. Its methods may be called from several goroutines.
type Dir struct {
	checker
	f        *os.File
	system   System
	lockFile *os.File // see TryLock

	reading sync.Mutex // Names moves the descriptor's offset
}

// Info describes an entry, without opening it.
type Info struct {
	mode    uint32
	uid     uint32
	gid     uint32
	links   uint64
	dev     uint64
	ino     uint64
	Size    int64
	Changed time.Time // the inode's change time: content, mode and name
}

// IsDir reports whether the entry is a directory.
func (i Info) IsDir() bool { return i.mode&unix.S_IFMT == unix.S_IFDIR }

func newInfo(st *unix.Stat_t) Info {
	sec, nsec := st.Ctim.Unix()
	// The types of the fields differ between systems.
	return Info{
		mode: uint32(st.Mode), uid: st.Uid, gid: st.Gid, links: uint64(st.Nlink), dev: uint64(st.Dev), ino: st.Ino, //nolint:unconvert
		Size: st.Size, Changed: time.Unix(sec, nsec),
	}
}

func stat(f *os.File) (Info, error) {
	var st unix.Stat_t
	if err := at(f, "stat", ".", func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return Info{}, err
	}
	return newInfo(&st), nil
}

// Path returns the path with which the directory was opened.
func (d *Dir) Path() string { return d.f.Name() }

// Close closes the directory and releases its lock.
func (d *Dir) Close() error {
	err := d.f.Close()
	if d.lockFile != nil {
		err = errors.Join(err, d.lockFile.Close())
	}
	return err
}

// Names returns the names of all entries, in any order.
func (d *Dir) Names() ([]string, error) {
	d.reading.Lock()
	defer d.reading.Unlock()
	if _, err := d.f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return d.f.Readdirnames(-1)
}

// Lstat describes an entry; for a link, the link itself.
func (d *Dir) Lstat(name string) (Info, error) {
	var st unix.Stat_t
	err := at(d.f, "lstat", name, func(fd int) error { return unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return Info{}, err
	}
	return newInfo(&st), nil
}

// Changed returns the change time of the directory itself.
func (d *Dir) Changed() (time.Time, error) {
	info, err := stat(d.f)
	return info.Changed, err
}

// Enter opens a subdirectory without checking its owner: only its names may be used.
func (d *Dir) Enter(name string) (*Dir, error) {
	f, err := openAt(d.f, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Dir{checker: d.checker, f: f, system: d.system}, nil
}

// OpenDir opens a subdirectory, which must be ours alone.
func (d *Dir) OpenDir(name string) (*Dir, error) {
	sub, err := d.Enter(name)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK) {
		if info, statErr := d.Lstat(name); statErr == nil {
			if err := d.CheckDir(join(d.Path(), name), info); err != nil {
				return nil, err
			}
		}
	}
	if err != nil {
		return nil, err
	}
	info, err := stat(sub.f)
	if err == nil {
		err = sub.CheckDir(sub.Path(), info)
	}
	if err == nil {
		err = sub.narrow(sub.f, info)
	}
	if err != nil {
		return nil, errors.Join(withTreeRemedy(err), sub.Close())
	}
	return sub, nil
}

// Check returns an *InsecureError unless the directory is ours alone.
func (d *Dir) Check() error {
	info, err := stat(d.f)
	if err != nil {
		return err
	}
	return d.CheckDir(d.Path(), info)
}

// Is reports whether the entry with that name is still sub, and was not removed or replaced.
func (d *Dir) Is(name string, sub *Dir) (bool, error) {
	return d.isFile(name, sub.f)
}

// ReadFile returns the content of a file, which must be ours alone and have at most limit bytes.
func (d *Dir) ReadFile(name string, limit int64) (content []byte, err error) {
	f, err := d.openFile(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := stat(f)
	if err != nil {
		return nil, err
	}
	// One byte more than allowed: the file may grow after its size was checked.
	b := bytes.NewBuffer(make([]byte, 0, min(info.Size, limit)+bytes.MinRead))
	if _, err = b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	content = b.Bytes()
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%q is too long: want at most %d bytes", f.Name(), limit)
	}
	return content, nil
}

// OpenFile opens a file for reading. The file must be ours alone.
func (d *Dir) OpenFile(name string) (*os.File, error) { return d.openFile(name, unix.O_RDONLY) }

// openAppend opens a file for reading and appending, and creates it if it is missing. The file must
// be ours alone.
func (d *Dir) openAppend(name string) (*os.File, error) {
	f, err := d.system.OpenAppend(d.f, name)
	return d.checked(f, name, err)
}

func (d *Dir) openFile(name string, flag int) (*os.File, error) {
	f, err := openAt(d.f, name, flag, 0)
	return d.checked(f, name, err)
}

// checked returns an opened file if it is ours alone.
func (d *Dir) checked(f *os.File, name string, err error) (*os.File, error) {
	if err != nil {
		// What can't be opened because of its kind (a link, a socket) deserves a better message
		// than the kernel's.
		if info, statErr := d.Lstat(name); statErr == nil {
			if insecure := d.CheckFile(join(d.Path(), name), info); insecure != nil {
				return nil, insecure
			}
		}
		return nil, err
	}
	info, err := stat(f)
	if err == nil {
		err = d.CheckFile(f.Name(), info)
	}
	if err == nil {
		err = d.narrow(f, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
