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

// IsTemp reports whether a name is one of the temporary files that a dead writer can leave behind.
func IsTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// WriteFile durably creates a file. A name that exists is an error that wraps [fs.ErrExist].
func (d *Dir) WriteFile(name string, content []byte, mode fs.FileMode) error {
	temp, err := d.writeTemp(content, mode)
	if err != nil {
		return err
	}
	if err := d.system.Rename(d.f, temp, name); err != nil {
		return errors.Join(err, d.Unlink(temp))
	}
	if err := d.Sync(); err != nil {
		// Nobody knows whether the entry is on the disk. An error means that it is not there, so
		// make it true.
		return errors.Join(err, d.Unlink(name))
	}
	return nil
}

// ReplaceFile durably replaces a file's content, all or nothing. When only the last step failed,
// the content is new but might not survive a power loss.
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

// writeTemp writes a temporary file as far as stable storage and returns its name; after an error
// there is none.
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

// Create makes a small file without waiting for the disk: for notes whose use ends with the
// machine's uptime.
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

// Rename durably renames an entry, never over another one. renamed tells how far an error let it
// come.
func (d *Dir) Rename(from, to string) (renamed bool, err error) {
	if err := d.system.Rename(d.f, from, to); err != nil {
		return false, err
	}
	return true, d.Sync()
}

// Remove durably removes files; those that are gone already are fine. It goes on after an error.
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

// Mkdir durably makes a directory that is ours alone. A directory whose entry might not last is
// removed again.
func (d *Dir) Mkdir(name string) error {
	if err := d.system.Mkdir(d.f, name); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(err, d.system.Rmdir(d.f, name))
	}
	return nil
}

// Rmdir removes an empty directory without waiting for the disk. The second result is false when it
// isn't empty.
func (d *Dir) Rmdir(name string) (bool, error) {
	err := d.system.Rmdir(d.f, name)
	if errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	return err == nil, err
}

// Sync waits until the directory's entries are on stable storage. A file system that has no such
// operation says EINVAL or ENOTSUP and writes entries when it likes to: no caller could do better
// there, so this is no error.
func (d *Dir) Sync() error {
	err := d.system.Sync(d.f)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

// Probe finds out whether WriteFile works now for a file of a size: it writes one, reads it back
// and removes it, all as durably as if it mattered. A process that dies meanwhile leaves nothing
// but a temporary file.
func (d *Dir) Probe(size int) error {
	// Nothing that a file system can compress, share or keep out of its blocks.
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

// lookAndRename is for systems that can't rename without replacing in one step.
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
