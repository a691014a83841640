package durable

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testDir(t *testing.T, system System) *Dir {
	t.Helper()
	parent := t.TempDir()
	must(t, os.Chmod(parent, 0o700)) // whatever the umask
	d, err := Open(system, filepath.Join(parent, "dir"), true)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

func names(t *testing.T, d *Dir) []string {
	t.Helper()
	got, err := d.Names()
	must(t, err)
	slices.Sort(got)
	return got
}

func TestWriteFileNeverReplaces(t *testing.T) {
	d := testDir(t, OS{})
	must(t, d.WriteFile("a", []byte("first"), 0o700))
	if err := d.WriteFile("a", []byte("second"), 0o700); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
	must(t, d.WriteFile("b", nil, 0o600))
	if _, err := d.Rename("b", "a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("rename: got %v, want fs.ErrExist", err)
	}
	got, err := d.ReadFile("a", 100)
	must(t, err)
	if string(got) != "first" {
		t.Errorf("got %q, want %q", got, "first")
	}
	info, err := os.Stat(filepath.Join(d.Path(), "a"))
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("got mode %v, want 0700", info.Mode())
	}
	if got := names(t, d); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q, want no temporary file", got)
	}
}

// What stands in where the kernel can't rename without replacing.
func TestLookAndRename(t *testing.T) {
	d := testDir(t, OS{})
	must(t, d.WriteFile("a", []byte("a"), 0o600))
	must(t, d.WriteFile("b", []byte("b"), 0o600))
	must(t, os.Symlink("nowhere", filepath.Join(d.Path(), "link")))
	fd := int(d.f.Fd())
	for _, to := range []string{"b", "link"} {
		if err := lookAndRename(fd, "a", to); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over %q: got %v, want fs.ErrExist", to, err)
		}
	}
	if err := lookAndRename(fd, "none", "c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	must(t, lookAndRename(fd, "a", "c"))
	if got := names(t, d); !slices.Equal(got, []string{"b", "c", "link"}) {
		t.Errorf("got %q", got)
	}
}

func TestReplaceFile(t *testing.T) {
	d := testDir(t, OS{})
	for _, content := range []string{"one", "two"} {
		must(t, d.ReplaceFile("a", []byte(content), 0o600))
		got, err := d.ReadFile("a", 3)
		must(t, err)
		if string(got) != content {
			t.Errorf("got %q, want %q", got, content)
		}
	}
	if _, err := d.ReadFile("a", 2); err == nil || !strings.Contains(err.Error(), "at most 2 bytes") {
		t.Errorf("got %v, want too long", err)
	}
}

// noDirSync is a file system that can't sync directories.
type noDirSync struct {
	OS
	err error
}

func (s noDirSync) Sync(f *os.File) error {
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return s.err
	}
	return s.OS.Sync(f)
}

func TestSyncOfDirectories(t *testing.T) {
	for _, unsupported := range []error{unix.EINVAL, unix.ENOTSUP} {
		must(t, testDir(t, noDirSync{err: unsupported}).WriteFile("a", []byte("x"), 0o600))
	}
	d := testDir(t, OS{})
	d.system = noDirSync{err: unix.EIO}
	if err := d.WriteFile("a", []byte("x"), 0o600); !errors.Is(err, unix.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
	if err := d.Mkdir("b"); !errors.Is(err, unix.EIO) {
		t.Errorf("mkdir: got %v, want EIO", err)
	}
	if got := names(t, d); len(got) != 0 {
		t.Errorf("got %q, want nothing that might not last", got)
	}
}

// forgetful is a file system that takes every byte and returns another one.
type forgetful struct{ OS }

func (s forgetful) Write(f *os.File, b []byte) (int, error) {
	changed := slices.Clone(b)
	changed[len(b)/2] ^= 1
	return s.OS.Write(f, changed)
}

func TestProbe(t *testing.T) {
	d := testDir(t, OS{})
	must(t, d.Probe(1000))
	d.system = forgetful{}
	if err := d.Probe(1000); err == nil || !strings.Contains(err.Error(), d.Path()) {
		t.Errorf("got %v, want an error that names a path in %q", err, d.Path())
	}
	if got := names(t, d); len(got) != 0 {
		t.Errorf("got %q, want nothing left", got)
	}
}

func TestLock(t *testing.T) {
	d := testDir(t, OS{})
	must(t, d.Mkdir("sub"))
	open := func() *Dir {
		t.Helper()
		sub, err := d.OpenDir("sub")
		must(t, err)
		return sub
	}
	lock := func(sub *Dir, want bool) {
		t.Helper()
		got, err := sub.TryLock()
		must(t, err)
		if got != want {
			t.Errorf("got lock %v, want %v", got, want)
		}
	}
	first, second := open(), open()
	lock(first, true)
	lock(second, false)
	must(t, first.Close())
	lock(second, true)

	is := func(want bool) {
		t.Helper()
		got, err := d.Is("sub", second)
		must(t, err)
		if got != want {
			t.Errorf("is the entry: got %v, want %v", got, want)
		}
	}
	is(true)
	must(t, os.Remove(second.Path()))
	is(false)
	must(t, d.Mkdir("sub"))
	is(false)
	must(t, second.Close())
}

func TestRmdir(t *testing.T) {
	d := testDir(t, OS{})
	must(t, d.Mkdir("sub"))
	must(t, os.WriteFile(filepath.Join(d.Path(), "sub", "a"), nil, 0o600))
	if gone, err := d.Rmdir("sub"); gone || err != nil {
		t.Errorf("got %v, %v, want that it isn't empty", gone, err)
	}
	must(t, os.Remove(filepath.Join(d.Path(), "sub", "a")))
	if gone, err := d.Rmdir("sub"); !gone || err != nil {
		t.Errorf("got %v, %v, want it gone", gone, err)
	}
}

// Parents that may be passed but not read are fine for what is there.
func TestUnreadableParent(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	d := testDir(t, OS{})
	must(t, d.Mkdir("sub"))
	must(t, os.Chmod(d.Path(), 0o300))
	sub, err := Open(OS{}, filepath.Join(d.Path(), "sub"), true)
	must(t, err)
	must(t, sub.SyncEntry())
	must(t, sub.Close())
	must(t, os.Chmod(d.Path(), 0o700))
}

// A remedy is pasted into a shell: whatever the path, it must come out as one word.
func TestQuote(t *testing.T) {
	for path, want := range map[string]string{
		"/tmp/kraken-rollback": "/tmp/kraken-rollback",
		"/a b":                 "'/a b'",
		"/a'\\":                `'/a'\''\'`,
		"/a\n\x1b[31m$(x)":     `$'/a\x0a\x1b[31m$(x)'`,
	} {
		if got := Quote(path); got != want {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash to ask")
	}
	rapid.Check(t, func(t *rapid.T) {
		path := string(rapid.SliceOfN(rapid.ByteRange(1, 255), 1, 20).Draw(t, "path"))
		got, err := exec.Command(bash, "-c", "printf %s "+Quote(path)).Output()
		if err != nil || string(got) != path {
			t.Fatalf("%q as %s: got %q, %v", path, Quote(path), got, err)
		}
		if strings.HasPrefix(Quote(path), "$") {
			return
		}
		if got, err := exec.Command("sh", "-c", "printf %s "+Quote(path)).Output(); err != nil || string(got) != path {
			t.Fatalf("sh: %q as %s: got %q, %v", path, Quote(path), got, err)
		}
	})
}
