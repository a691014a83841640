package versions_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// oddMount is a volume that is not just a directory of some mode.
type oddMount struct {
	name    string
	user    syscall.Credential
	prepare func(t *testing.T, mount string) // mount is an empty directory
	below   string                           // the versions directory
	lands   string                           // where it is then; "" if that is refused
	says    string                           // a pattern of the refusal
}

// mountAt mounts a tmpfs, which ends with the test.
func mountAt(t *testing.T, where, options string) {
	t.Helper()
	err := unix.Mount("tmpfs", where, "tmpfs", 0, options)
	if errors.Is(err, unix.EPERM) {
		t.Skip("NOT TESTED: this root may not mount anything")
	}
	must(t, err)
	t.Cleanup(func() { must(t, unix.Unmount(where, unix.MNT_DETACH)) })
}

func readOnly(t *testing.T, where string) {
	t.Helper()
	must(t, unix.Mount("", where, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
}

func owned(t *testing.T, path string, uid, gid int, mode uint32) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	must(t, os.Chown(path, uid, gid))
	must(t, syscall.Chmod(path, mode))
}

var oddMounts = []oddMount{
	{
		name: "read-only", user: pod(1001, 1001), below: "ebb", says: `read-only file system`,
		prepare: func(t *testing.T, mount string) { mountAt(t, mount, "mode=0777"); readOnly(t, mount) },
	},
	{
		name: "projected: read-only and sticky, with root's files", user: pod(1001, 1001), below: "ebb", says: `read-only file system`,
		prepare: func(t *testing.T, mount string) {
			mountAt(t, mount, "mode=1777")
			must(t, os.WriteFile(filepath.Join(mount, "token"), []byte("x"), 0o644))
			readOnly(t, mount)
		},
	},
	{
		name: "subPath of a volume with fsGroup", user: pod(1001, 1001, 1001), below: "ebb", lands: "ebb",
		prepare: func(t *testing.T, mount string) {
			volume := filepath.Join(publicDir(t), "volume")
			must(t, os.Mkdir(volume, 0o755))
			mountAt(t, volume, "mode=0777")
			owned(t, filepath.Join(volume, "sub"), 0, 1001, 0o2775)
			must(t, unix.Mount(filepath.Join(volume, "sub"), mount, "", unix.MS_BIND, ""))
			t.Cleanup(func() { must(t, unix.Unmount(mount, unix.MNT_DETACH)) })
		},
	},
	{
		name: "NFS that makes nobody of root", user: pod(1001, 1001), below: "ebb", says: `of user 65534|owned by`,
		prepare: func(t *testing.T, mount string) { owned(t, mount, 65534, 65534, 0o777) },
	},
	{
		name: "a volume with other users' files", user: pod(1001, 1001), lands: "ebb-1001",
		prepare: func(t *testing.T, mount string) {
			owned(t, mount, 0, 0, 0o777)
			owned(t, filepath.Join(mount, "ebb-1002"), 1002, 1002, 0o700)
			owned(t, filepath.Join(mount, "1755488223093251000-theirs"), 1002, 1002, 0o700)
		},
	},
	{
		name: "a volume where another user has our name", user: pod(1001, 1001), says: `permission denied`,
		prepare: func(t *testing.T, mount string) {
			owned(t, mount, 0, 0, 0o777)
			owned(t, filepath.Join(mount, "ebb-1001"), 1002, 1002, 0o700)
		},
	},
	{
		name: "our own link to a directory", user: pod(1001, 1001), below: "ebb", says: `link`,
		prepare: func(t *testing.T, mount string) {
			owned(t, mount, 0, 0, 0o777)
			owned(t, filepath.Join(mount, "real"), 1001, 1001, 0o700)
			must(t, os.Symlink("real", filepath.Join(mount, "ebb")))
			must(t, os.Lchown(filepath.Join(mount, "ebb"), 1001, 1001))
		},
	},
	{
		name: "a full emptyDir", user: pod(1001, 1001), below: "ebb", says: `no space left`,
		prepare: func(t *testing.T, mount string) {
			mountAt(t, mount, "mode=0777,size=64k")
			full, err := os.Create(filepath.Join(mount, "full"))
			must(t, err)
			for err == nil {
				_, err = full.Write(make([]byte, 4096))
			}
			must(t, full.Close())
		},
	},
	{
		name: "an emptyDir without inodes", user: pod(1001, 1001), below: "ebb", says: `no space left`,
		prepare: func(t *testing.T, mount string) { mountAt(t, mount, "mode=0777,nr_inodes=1") },
	},
}

// What a pod can mount beside directories: each works in a directory of ours, or is refused before
// anything is changed, with a reason and without a command that the pod's user can't carry out.
func TestOddMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NEEDS ROOT: only root can mount, and be all these users")
	}
	for _, m := range oddMounts {
		t.Run(m.name, func(t *testing.T) {
			mount := filepath.Join(publicDir(t), "mount")
			must(t, os.Mkdir(mount, 0o755))
			m.prepare(t, mount)
			l := layout{user: m.user}
			got := l.start(t, filepath.Join(mount, m.below), "first", true)
			if m.lands != "" {
				if got.Error != "" || got.Location != filepath.Join(mount, m.lands) {
					t.Fatalf("got %+v, want it to work in %q", got, m.lands)
				}
				if again := l.start(t, filepath.Join(mount, m.below), "next", true); again.Error != "" {
					t.Errorf("the pod's next start: got %+v, want what the first one left", again)
				}
				return
			}
			if !regexp.MustCompile(m.says).MatchString(got.Error) {
				t.Errorf("got %+v, want a refusal that says %q", got, m.says)
			}
			if got.Insecure != nil && strings.Contains(got.Insecure.Remedy, "ch") && !strings.Contains(got.Insecure.Remedy, "mkdir") {
				t.Errorf("got the remedy %q, which is not this user's to carry out", got.Insecure.Remedy)
			}
		})
	}
}
