package durable

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// System is the part of the operating system that changes directories. It is an interface for the
// sake of tests, which put one under a Dir that fails at a chosen call; everybody else uses [OS].
type System interface {
	Create(dir *os.File, name string) (*os.File, error)     // for writing, never an existing name, mode 0600
	OpenAppend(dir *os.File, name string) (*os.File, error) // for reading and appending; made if it is missing, mode 0600
	Write(f *os.File, b []byte) (int, error)
	Chmod(f *os.File, mode fs.FileMode) error
	Sync(f *os.File) error
	Close(f *os.File) error
	Rename(dir *os.File, from, to string) error  // never over an existing name
	Replace(dir *os.File, from, to string) error // over the existing name
	Unlink(dir *os.File, name string) error
	Mkdir(dir *os.File, name string) error // mode 0700
	Rmdir(dir *os.File, name string) error
}

// OS is the real System.
type OS struct{}

// Create implements System.
func (OS) Create(dir *os.File, name string) (*os.File, error) {
	return openAt(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
}

// OpenAppend implements System.
func (OS) OpenAppend(dir *os.File, name string) (*os.File, error) {
	return openAt(dir, name, unix.O_RDWR|unix.O_APPEND|unix.O_CREAT, 0o600)
}

// Write implements System.
func (OS) Write(f *os.File, b []byte) (int, error) { return f.Write(b) }

// Chmod implements System.
func (OS) Chmod(f *os.File, mode fs.FileMode) error { return f.Chmod(mode) }

// Sync implements System.
func (OS) Sync(f *os.File) error { return f.Sync() }

// Close implements System.
func (OS) Close(f *os.File) error { return f.Close() }

// Rename implements System.
func (OS) Rename(dir *os.File, from, to string) error {
	return at(dir, "rename", from, func(fd int) error { return renameNoReplace(fd, from, to) })
}

// Replace implements System.
func (OS) Replace(dir *os.File, from, to string) error {
	return at(dir, "rename", from, func(fd int) error { return unix.Renameat(fd, from, fd, to) })
}

// Unlink implements System.
func (OS) Unlink(dir *os.File, name string) error {
	return at(dir, "unlink", name, func(fd int) error { return unix.Unlinkat(fd, name, 0) })
}

// Mkdir implements System.
func (OS) Mkdir(dir *os.File, name string) error {
	return at(dir, "mkdir", name, func(fd int) error { return unix.Mkdirat(fd, name, 0o700) })
}

// Rmdir implements System.
func (OS) Rmdir(dir *os.File, name string) error {
	return at(dir, "rmdir", name, func(fd int) error { return unix.Unlinkat(fd, name, unix.AT_REMOVEDIR) })
}

// openAt opens an entry of dir. It never follows a link nor waits for the other end of a FIFO in a
// file's place, and the descriptor is closed in child processes: a lock that a child inherited
// would outlive its owner.
//
// A directory, and a file that is made here, need no O_NONBLOCK for that. With it, Go asks the kernel to
// watch each one, which it refuses.
func openAt(dir *os.File, name string, flag int, mode uint32) (*os.File, error) {
	var f *os.File
	if flag&(unix.O_DIRECTORY|unix.O_EXCL) == 0 {
		flag |= unix.O_NONBLOCK
	}
	err := at(dir, "open", name, func(fd int) error {
		opened, err := unix.Openat(fd, name, flag|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		if err == nil {
			f = os.NewFile(uintptr(opened), join(dir.Name(), name))
		}
		return err
	})
	return f, err
}

// at makes a call with dir's descriptor, which can't be closed meanwhile, and wraps its error.
func at(dir *os.File, op, name string, call func(fd int) error) error {
	conn, err := dir.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	if err := conn.Control(func(fd uintptr) {
		for {
			if callErr = call(int(fd)); !errors.Is(callErr, unix.EINTR) {
				return
			}
		}
	}); err != nil {
		return &fs.PathError{Op: op, Path: join(dir.Name(), name), Err: err}
	}
	if callErr != nil {
		return &fs.PathError{Op: op, Path: join(dir.Name(), name), Err: callErr}
	}
	return nil
}

// join is filepath.Join for a clean directory and a single name: listings call it a hundred
// thousand times.
func join(dir, name string) string {
	if dir == "/" {
		return dir + name
	}
	return dir + "/" + name
}
