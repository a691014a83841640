package durable

import (
	"bytes"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const tempPrefix = ".tmp-"

// IsTemp reports whether a name is that of a temporary file, which a killed writer can leave.
func IsTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// WriteFile durably creates a file. If the name exists, the error wraps [fs.ErrExist].
func (d *Dir) WriteFile(name string, content []byte, mode fs.FileMode) error {
	temp, err := d.writeTemp(content, mode)
	if err != nil {
		return err
	}
	if err := d.system.Rename(d.f, temp, name); err != nil {
		return errors.Join(err, d.Unlink(temp))
	}
	if err := d.Sync(); err != nil {
		// It is unknown whether the entry is on the disk. An error must mean that it is not, so
		// remove it.
		return errors.Join(err, d.Unlink(name))
	}
	return nil
}

// ReplaceFile durably replaces the content of a file, all or nothing. If only the last step fails,
// the content is new but may not survive a power failure.
func (d *Dir) ReplaceFile(name string, content []byte, mode fs.FileMode) error {
	temp, err := d.writeTemp(content, mode)
	if err != nil {
		return err
	}
	if err := d.system.Replace(d.f, temp, name); err != nil {
		return errors.Join(err, d.Unlink(temp))
	}
	return d.Sync()
}

// writeTemp writes a temporary file to stable storage and returns its name. After an error, no file
// is left.
func (d *Dir) writeTemp(content []byte, mode fs.FileMode) (string, error) {
	temp := tempName()
	f, err := d.system.Create(d.f, temp)
	if err != nil {
		return "", err
	}
	err = d.fill(f, content, mode)
	if closeErr := d.system.Close(f); closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	if err != nil {
		return "", errors.Join(err, d.Unlink(temp))
	}
	return temp, nil
}

func tempName() string { return fmt.Sprintf("%s%016x", tempPrefix, rand.Uint64()) }

func (d *Dir) fill(f *os.File, content []byte, mode fs.FileMode) error {
	if err := d.writeAll(f, content); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != int64(len(content)) {
		return fmt.Errorf("write %q: got %d bytes, want %d", f.Name(), info.Size(), len(content))
	}
	if err := d.system.Chmod(f, mode); err != nil {
		return err
	}
	return d.system.Sync(f)
}

func (d *Dir) writeAll(f *os.File, content []byte) error {
	n, err := d.system.Write(f, content)
	if err == nil && n < len(content) {
		err = fmt.Errorf("write %q: %w", f.Name(), io.ErrShortWrite)
	}
	return err
}

// Create makes a small file without waiting for the disk, for notes that need not survive a reboot.
func (d *Dir) Create(name string, content []byte) error {
	f, err := d.system.Create(d.f, name)
	if err != nil {
		return err
	}
	err = d.writeAll(f, content)
	if err = errors.Join(err, d.system.Close(f)); err != nil {
		return errors.Join(err, d.Unlink(name))
	}
	return nil
}

// Rename durably renames an entry. It never replaces another one. renamed says whether the name was
// changed, also after an error.
func (d *Dir) Rename(from, to string) (renamed bool, err error) {
	if err := d.system.Rename(d.f, from, to); err != nil {
		return false, err
	}
	return true, d.Sync()
}

// Remove durably removes files. Missing files are no error. It continues after an error.
func (d *Dir) Remove(names ...string) error {
	var errs []error
	for _, name := range names {
		if err := d.Unlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, d.Sync())...)
}

// Unlink removes a file without waiting for the disk.
func (d *Dir) Unlink(name string) error { return d.system.Unlink(d.f, name) }

// Mkdir durably makes a directory that is ours alone. If its entry may not last, it removes the
// directory again.
func (d *Dir) Mkdir(name string) error {
	if err := d.system.Mkdir(d.f, name); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(err, d.system.Rmdir(d.f, name))
	}
	return nil
}

// Rmdir removes an empty directory without waiting for the disk. The result is false if it is not
// empty.
func (d *Dir) Rmdir(name string) (bool, error) {
	err := d.system.Rmdir(d.f, name)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	return err == nil, err
}

// Sync waits until the directory's entries are on stable storage. Some file systems do not support
// that, and return EINVAL or ENOTSUP: nothing better is possible there, so that is no error.
func (d *Dir) Sync() error {
	err := d.system.Sync(d.f)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

// Probe checks that WriteFile works for a file of this size. It writes one, reads it back and
// removes it, as durably as a real one. If the process dies meanwhile, only a temporary file is
// left.
func (d *Dir) Probe(size int) error {
	// Random content: a file system can't compress or share it, or store it in the inode.
	content := make([]byte, size)
	if _, err := cryptorand.Read(content); err != nil {
		return err
	}
	name := tempName()
	if err := d.WriteFile(name, content, 0o600); err != nil {
		return err
	}
	got, err := d.ReadFile(name, int64(size))
	if err == nil && !bytes.Equal(got, content) {
		err = fmt.Errorf("%q: got %d bytes that differ from the %d written", join(d.Path(), name), len(got), size)
	}
	return errors.Join(err, d.Remove(name))
}

// lookAndRename is for systems without an atomic rename that does not replace.
func lookAndRename(dir int, from, to string) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, to, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		return unix.EEXIST
	}
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	return unix.Renameat(dir, from, dir, to)
}
