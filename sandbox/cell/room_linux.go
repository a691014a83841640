package cell

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// roomDir is where the room keeps its own files, in its mount namespace. Every machine has this
// directory.
const roomDir = "/tmp"

// In roomDir, next to the volumes.
const (
	baseDir = "base" // what all roots share
	rootDir = "root" // where a new root is built
)

// commands are available in a cell if the machine has them.
var commands = strings.Fields(`
	sh bash test true false [ echo printf env cat tee head tail cut tr sort uniq wc seq grep sed
	awk ls stat find mkdir rmdir mkfifo touch rm mv cp ln chmod chown dirname basename readlink realpath mktemp date sleep
	timeout nohup setsid tty stty kill ps pgrep pkill pidof xargs id uname hostname df du dd fallocate truncate sync findmnt mountpoint
	lsblk tar gzip base64 sha256sum md5sum chroot nsenter ip tc iptables iptables-save iptables-restore ip6tables ip6tables-save
	ip6tables-restore`)

// libraries are directories that commands need, at the same paths as on the machine.
var libraries = []string{"usr/lib", "usr/lib32", "usr/lib64", "usr/libx32", "lib", "lib32", "lib64", "libx32", "usr/share/iproute2", "nix/store"}

// makeRoom mounts what no other process of the machine sees.
func makeRoom() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := mountTmpfs(roomDir, 256<<20, 0o711); err != nil {
		return err
	}
	// Without a /proc of our own, no cell can have one. Fail now.
	if err := mountProc(filepath.Join(roomDir, "proc")); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(roomDir, rootDir), 0o755); err != nil {
		return err
	}
	return makeBase(filepath.Join(roomDir, baseDir))
}

// makeBase copies the commands, so that a cell has only these. The copies have no set-user-ID bits
// and no file capabilities.
func makeBase(base string) error {
	bin := filepath.Join(base, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	copied := map[string]string{} // one file may have several names
	for _, name := range commands {
		found, err := find(name, initEnv)
		var absent *StartError
		if errors.As(err, &absent) {
			continue
		}
		if err != nil {
			return err
		}
		real, err := filepath.EvalSymlinks(found)
		if err != nil {
			return err
		}
		target := filepath.Join(bin, name)
		if first, again := copied[real]; again {
			err = os.Link(first, target)
		} else {
			copied[real], err = target, copyFile(real, target, 0o755)
		}
		if err != nil {
			return fmt.Errorf("copy command %q: %w", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(bin, "crictl"), []byte(crictl), 0o755); err != nil {
		return err
	}
	err := copyFile("/etc/ld.so.cache", filepath.Join(base, "ld.so.cache"), 0o644)
	if errors.Is(err, fs.ErrNotExist) { // not every machine has this
		return nil
	}
	return err
}

func copyFile(from, to string, mode fs.FileMode) (err error) {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close() // read only
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

func mountProc(path string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("proc", path, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	return nil
}

func mountTmpfs(path string, size int64, mode fs.FileMode) error {
	options := fmt.Sprintf("size=%d,mode=%o", size, mode)
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	return nil
}

// makeVolume works only below root, whatever links a command has left there.
func makeVolume(root *os.Root, v Volume) error {
	if err := root.MkdirAll(v.Path, 0o777); err != nil {
		return err
	}
	if v.Size > 0 {
		mounted, err := isMount(root, v.Path)
		if err != nil {
			return err
		}
		if !mounted {
			if err := mountTmpfs(filepath.Join(roomDir, v.Path), v.Size, 0o777); err != nil {
				return err
			}
		}
	}
	return fill(root, v)
}

func fill(root *os.Root, v Volume) (err error) {
	dir, err := root.OpenRoot(v.Path) // mounted above
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	for _, name := range v.Dirs {
		if err := dir.MkdirAll(name, 0o755); err != nil {
			return err
		}
	}
	for name, content := range v.Files {
		if err := dir.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		// Make a new file each time: an old one may be a link.
		if err := dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := dir.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func isMount(root *os.Root, path string) (bool, error) {
	at, err := root.Stat(path)
	if err != nil {
		return false, err
	}
	above, err := root.Stat(filepath.Dir(path))
	if err != nil {
		return false, err
	}
	return device(at) != device(above), nil
}

func removeVolume(root *os.Root, path string) error {
	if _, err := root.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	mounted, err := isMount(root, path)
	if err != nil {
		return err
	}
	if mounted {
		// With everything that is mounted below it.
		if err := unix.Unmount(filepath.Join(roomDir, path), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %q: %w", path, err)
		}
	}
	return root.RemoveAll(path)
}
