package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// A dataDir is the state of one sandbox on disk, held by this process:
//
//	ebb-sandbox.lock   held with flock; its text names the holder
//	pki/               the CA, certificates and the service account key
//	etcd/              the cluster's objects
//	run/               kubeconfigs of the components, sockets; made anew at each start
//	log                what the components said since the last start
type dataDir struct {
	path      string
	temporary bool
	sockets   string // 0700: etcd does not authenticate its clients
	lock      *os.File
}

const lockName = "ebb-sandbox.lock"

// openDataDir takes the directory at path, or a temporary one if path is "".
func openDataDir(path string) (_ *dataDir, err error) {
	d := &dataDir{path: path, temporary: path == ""}
	if d.temporary {
		if d.path, err = os.MkdirTemp("", "ebb-sandbox-"); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.path, err = filepath.Abs(d.path); err != nil {
		return nil, err
	}
	if err := ownedDirectory(d.path); err != nil {
		return nil, err
	}
	if err := refuseForeign(d.path); err != nil {
		return nil, err
	}
	if d.lock, err = takeLock(d.file(lockName)); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(d.file("run")); err != nil {
		return nil, err
	}
	for _, name := range []string{"pki", "etcd", "run"} {
		if err := ownedDirectory(d.file(name)); err != nil {
			return nil, err
		}
	}
	d.sockets, err = socketDir(d.file("run"))
	return d, err
}

func (d *dataDir) file(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// close releases the directory, and removes it if it is temporary. The lock is released last, so
// that no other process starts in a directory that is being emptied.
func (d *dataDir) close() error {
	var errs []error
	if d.sockets != "" && d.sockets != d.file("run") {
		errs = append(errs, os.RemoveAll(d.sockets))
	}
	if d.temporary {
		errs = append(errs, os.RemoveAll(d.path))
	} else if d.lock != nil {
		errs = append(errs, os.RemoveAll(d.file("run")), d.lock.Truncate(0))
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// refuseForeign refuses a directory with other files in it: with a typing error such as "--data ~",
// our files would be scattered there.
func refuseForeign(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lockName {
			return nil
		}
	}
	if len(entries) > 0 {
		return withHint(fmt.Errorf("directory %q is not empty and was not made by ebb-sandbox (no %s in it)", path, lockName),
			"give --data a new or an empty directory")
	}
	return nil
}

func takeLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, readErr := io.ReadAll(io.LimitReader(f, 256))
		err = errors.Join(err, readErr, f.Close())
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
		name := strings.TrimSpace(string(holder))
		if name == "" {
			name = "a process that has not written its name yet"
		}
		return nil, withHint(fmt.Errorf("data directory %q is in use by %s", filepath.Dir(path), name),
			"end that sandbox first, or give --data another directory")
	}
	if err := nameHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %q: %w", path, err), f.Close())
	}
	return f, nil
}

func nameHolder(lock *os.File) error {
	if err := lock.Truncate(0); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	_, err = lock.WriteAt(fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0)
	return err
}

// The paths of etcd's sockets become parts of URLs and of a comma-separated flag. The kernel limits
// them to 107 bytes (103 on other systems).
var socketPath = regexp.MustCompile(`^/[A-Za-z0-9._/-]{1,102}$`)

const longestSocket = "etcd.sock"

// socketDir returns preferred if sockets can be made there, otherwise a new directory.
func socketDir(preferred string) (string, error) {
	if socketPath.MatchString(filepath.Join(preferred, longestSocket)) {
		return preferred, nil
	}
	var errs []error
	for _, parent := range []string{os.TempDir(), "/tmp"} {
		dir, err := os.MkdirTemp(parent, "ebb-sandbox-sock-")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if socketPath.MatchString(filepath.Join(dir, longestSocket)) {
			return dir, nil
		}
		errs = append(errs, os.Remove(dir))
	}
	return "", withHint(fmt.Errorf("no directory for etcd's sockets: %q is too long or has unusual characters, and so is every temporary directory (%w)",
		preferred, errors.Join(errs...)), "set TMPDIR to a short path")
}
