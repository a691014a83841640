package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// LockFile is the name of the file that is locked where a directory's own lock is in the hands of
// another user.
const LockFile = ".flock"

// lookersPatience bounds how long a lock is tried for that nobody has and somebody looks at, again
// and again.
const lookersPatience = time.Second

// TryLock takes the directory's lock until Close, or says that somebody has it: another process, or
// another Dir of this one. The kernel gives the lock up when its owner dies.
//
// The lock is flock on the directory itself. Where others may read the directory, or once could,
// any user can hold that as long as he likes. Such a lock counts for nothing: [LockFile] in the
// directory, which only we can open, is locked in its place. Who has one of the two and finds the
// other one with a process of our own user, gives way; since each looks at the other's after it has
// its own, not both can miss it. So nobody has to know which of the two an earlier process took.
func (d *Dir) TryLock() (bool, error) {
	free, err := tryLock(d.f)
	if err != nil || !free && !heldByOtherUser(d.f) {
		return false, err
	}
	return d.tryLockFile(free)
}

// tryLockFile does with the lock file what is to be done once the directory's own lock is taken or
// not to be had.
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
		return false, nil // it was removed while we opened it: who had it is just leaving
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
	// Whoever had it before us may have removed it meanwhile: a lock on a file without a name is
	// nobody's.
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

// Locked reports whether a process of our user has the directory's lock now. It changes nothing,
// and nobody's TryLock fails for it.
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

// tryLock takes a lock. It is not kept from it by those who only look, which share the lock for a
// moment: while a lock can be shared, nobody has it.
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

// lookAt reports whether a lock could be shared, and gives it up at once.
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

// isFile reports whether an entry is an open file.
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
