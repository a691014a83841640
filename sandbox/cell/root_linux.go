package cell

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// rootSize limits what a cell can store outside of its volumes.
const rootSize = 16 << 20

// devices are safe for any user.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// enter makes r the root of this process, which must have a mount namespace of its own.
func (r *Root) enter() error {
	if err := r.openLog(); err != nil {
		return err
	}
	path := filepath.Join(roomDir, rootDir)
	if err := mountTmpfs(path, rootSize, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	if err := install(root); err != nil {
		return err
	}
	for _, dir := range []string{"tmp", "run", "var/tmp", "etc", "root", "home", "opt", "mnt", "dev/shm"} {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := root.Chmod("tmp", 0o777|fs.ModeSticky); err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"etc/passwd":   "root:x:0:0:root:/root:/bin/sh\n",
		"etc/group":    "root:x:0:\n",
		"etc/hostname": host + "\n",
		"etc/hosts":    "127.0.0.1 localhost " + host + "\n::1 localhost\n",
	} {
		if err := root.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	volumes, err := os.OpenRoot(roomDir)
	if err != nil {
		return err
	}
	// Mount parents before their children.
	mounts := slices.SortedStableFunc(slices.Values(r.Mounts), func(a, b Mount) int {
		return cmp.Compare(strings.Count(a.Target, "/"), strings.Count(b.Target, "/"))
	})
	for _, m := range mounts {
		if err := m.mount(volumes, root); err != nil {
			return fmt.Errorf("mount %q: %w", m.Target, err)
		}
	}
	if err := errors.Join(volumes.Close(), root.Close()); err != nil {
		return err
	}
	return pivot(path)
}

// openLog makes the log our standard output.
func (r *Root) openLog() error {
	if r.Log == "" {
		return nil
	}
	root, err := os.OpenRoot(roomDir)
	if err != nil {
		return err
	}
	f, err := root.OpenFile(r.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return errors.Join(err, root.Close())
	}
	return errors.Join(unix.Dup2(int(f.Fd()), 1), unix.Dup2(int(f.Fd()), 2), f.Close(), root.Close())
}

// pivot makes path the root, and leaves nothing of the old root within reach.
func pivot(path string) error {
	if err := os.Chdir(path); err != nil {
		return err
	}
	// The old root is now on top of the new one. Unmount it.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	return os.Chdir("/")
}

// install puts the commands, and what they need, into a root.
func install(root *os.Root) error {
	base, err := os.OpenRoot(filepath.Join(roomDir, baseDir))
	if err != nil {
		return err
	}
	defer base.Close() // read only
	if err := bind(base, "bin", root, "usr/bin", true); err != nil {
		return err
	}
	for name, target := range map[string]string{"bin": "usr/bin", "sbin": "usr/bin", "usr/sbin": "bin"} {
		if err := link(root, name, target); err != nil {
			return err
		}
	}
	if content, err := base.ReadFile("ld.so.cache"); err == nil {
		if err := errors.Join(root.MkdirAll("etc", 0o755), root.WriteFile("etc/ld.so.cache", content, 0o644)); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	machine, err := os.OpenRoot("/")
	if err != nil {
		return err
	}
	defer machine.Close() // read only
	for _, name := range libraries {
		info, err := machine.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := machine.Readlink(name)
			if err != nil {
				return err
			}
			if err := link(root, name, target); err != nil {
				return err
			}
			continue
		}
		if err := bind(machine, name, root, name, true); err != nil {
			return fmt.Errorf("show %q: %w", "/"+name, err)
		}
	}
	if err := root.MkdirAll("proc", 0o555); err != nil {
		return err
	}
	if err := mountAt(root, "proc", func(at string) error {
		return unix.Mount("proc", at, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := root.MkdirAll("dev", 0o755); err != nil {
		return err
	}
	for _, name := range devices {
		if err := root.WriteFile("dev/"+name, nil, 0o666); err != nil {
			return err
		}
		if err := mountAt(root, "dev/"+name, func(at string) error {
			return unix.Mount("/dev/"+name, at, "", unix.MS_BIND, "")
		}); err != nil {
			return fmt.Errorf("show device %q: %w", name, err)
		}
	}
	for name, target := range map[string]string{"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"} {
		if err := link(root, "dev/"+name, "/proc/self/fd"+target); err != nil {
			return err
		}
	}
	return nil
}

func link(root *os.Root, name, target string) error {
	err := root.Symlink(target, name)
	if errors.Is(err, fs.ErrExist) {
		return nil // left in the root of a node by an earlier call
	}
	return err
}

func (m Mount) mount(volumes, root *os.Root) error {
	volume, err := volumes.OpenRoot(m.Volume)
	if err != nil {
		return err
	}
	defer volume.Close() // read only
	target := strings.TrimPrefix(filepath.Clean(m.Target), "/")
	source := filepath.Clean("./" + m.Path)
	if _, err := volume.Stat(source); errors.Is(err, fs.ErrNotExist) {
		if err := volume.MkdirAll(source, 0o777); err != nil {
			return err
		}
	}
	if err := bind(volume, source, root, target, m.ReadOnly); err != nil {
		return err
	}
	if !m.Commands {
		return nil
	}
	inner, err := root.OpenRoot(target)
	if err != nil {
		return err
	}
	return errors.Join(install(inner), inner.Close())
}

// bind shows a directory or file of one root in another. Both are held open, so that no link can
// redirect the mount after the check.
func bind(from *os.Root, source string, to *os.Root, target string, readOnly bool) (err error) {
	f, err := from.OpenFile(source, os.O_RDONLY|unix.O_NONBLOCK, 0) // without O_NONBLOCK, a FIFO would wait for a writer
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = to.MkdirAll(target, 0o755)
	} else if err = to.MkdirAll(filepath.Dir(target), 0o755); err == nil {
		var empty *os.File
		if empty, err = to.OpenFile(target, os.O_WRONLY|os.O_CREATE|unix.O_NONBLOCK, 0o644); err == nil {
			err = empty.Close()
		}
	}
	if err != nil {
		return err
	}
	return mountAt(to, target, func(at string) error {
		// Recursive: the kernel does not let us uncover what is mounted on a directory of the
		// machine's.
		return unix.Mount(descriptor(f), at, "", unix.MS_BIND|unix.MS_REC, "")
	}, readOnlyIf(readOnly))
}

func readOnlyIf(readOnly bool) func(string) error {
	return func(at string) error {
		if !readOnly {
			return nil
		}
		return unix.MountSetattr(unix.AT_FDCWD, at, unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
}

// mountAt calls each step with a path for target. The path is opened again each time, because a
// step mounts something there.
func mountAt(root *os.Root, target string, steps ...func(at string) error) error {
	for _, step := range steps {
		f, err := root.OpenFile(target, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(step(descriptor(f)), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

func descriptor(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

func device(info fs.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return stat.Dev
}
