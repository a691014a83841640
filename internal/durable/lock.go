package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// LockFile is the name of the file that is locked instead if another user holds the directory's own
// lock.
const LockFile = ".flock"

// lookersPatience limits how long to retry a lock that nobody holds but that other processes test
// again and again.
const lookersPatience = time.Second

// TryLock takes the directory's lock, which is held until Close. It returns false if another
// process, or another Dir of this process, holds it. The kernel releases the lock when its owner
// dies.
//
// The lock is flock on the directory itself. If other users can read the directory, or once could,
// each of them can hold that lock forever. Such a lock is ignored. Instead, [LockFile] in the
// directory is locked, which only we can open. A process that holds one of the two locks, and finds
// the other one held by a process of its own user, gives way. Each checks the other lock after it
// has taken its own, so they can't both miss it. So no process needs to know which of the two an
// earlier one took.
func (d *Dir) TryLock() (bool, error) {
	free, err := tryLock(d.f)
	if err != nil || !free && !heldByOtherUser(d.f) {
		return false, err
	}
	return d.tryLockFile(free)
}

// tryLockFile handles the lock file, after the directory's own lock was taken or could not be had.
func (d *Dir) tryLockFile(free bool) (ok bool, err error) {
	open := d.OpenFile
	if !free {
		open = d.openAppend
	}
	file, err := open(LockFile)
	if free && errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // removed while we opened it: its holder is about to exit
	}
	if err != nil {
		if !free {
			err = fmt.Errorf("%q is locked by another user's process, and no lock of our own can be had: %w", d.Path(), err)
		}
		return false, err
	}
	defer func() {
		if !ok {
			err = errors.Join(err, file.Close())
		}
	}()
	fileFree, err := tryLock(file)
	switch {
	case err != nil:
		return false, err
	case !fileFree && !heldByOtherUser(file):
		return false, nil
	case !fileFree && !free:
		return false, &InsecureError{d.Path(), "is locked by another user's process, and so is " + LockFile + " in it", CopyDir(d.Path())}
	}
	// The previous holder may have removed the file meanwhile. A lock on a file without a name is
	// worth nothing.
	if same, err := d.isFile(LockFile, file); err != nil || !same {
		return false, err
	}
	if !free {
		if free, err = tryLock(d.f); err != nil || !free && !heldByOtherUser(d.f) {
			return false, err
		}
	}
	d.lockFile = file
	return true, nil
}

// Locked reports whether a process of our user holds the directory's lock. It changes nothing, and
// makes no TryLock fail.
func (d *Dir) Locked() (bool, error) {
	held, err := isLocked(d.f)
	if err != nil || held {
		return held, err
	}
	file, err := d.OpenFile(LockFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	held, err = isLocked(file)
	return held, errors.Join(err, file.Close())
}

func isLocked(f *os.File) (bool, error) {
	free, err := lookAt(f)
	return err == nil && !free && !heldByOtherUser(f), err
}

// tryLock takes a lock. Processes that only test the lock share it for a moment. They don't make
// tryLock fail: while a lock can be shared, nobody holds it.
func tryLock(f *os.File) (bool, error) {
	for until := time.Now().Add(lookersPatience); ; time.Sleep(time.Millisecond) {
		got, err := flock(f, unix.LOCK_EX, false)
		if got || err != nil {
			return got, err
		}
		if free, err := lookAt(f); err != nil || !free || heldByOtherUser(f) || time.Now().After(until) {
			return false, err
		}
	}
}

// lookAt reports whether a lock could be shared, and releases it at once.
func lookAt(f *os.File) (bool, error) { return flock(f, unix.LOCK_SH, true) }

func flock(f *os.File, how int, giveUp bool) (bool, error) {
	err := at(f, "flock", ".", func(fd int) error {
		err := unix.Flock(fd, how|unix.LOCK_NB)
		if err == nil && giveUp {
			err = unix.Flock(fd, unix.LOCK_UN)
		}
		return err
	})
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// isFile reports whether an entry is the opened file.
func (d *Dir) isFile(name string, f *os.File) (bool, error) {
	own, err := stat(f)
	if err != nil {
		return false, err
	}
	named, err := d.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && own.dev == named.dev && own.ino == named.ino, err
}
