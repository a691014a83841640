package versions_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
)

func TestInsecureDirectories(t *testing.T) {
	for _, test := range []struct {
		name    string
		spoil   func(t *testing.T, versionsDir string)
		problem string
	}{
		{"versions directory writable", func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o777)) }, "others can write to (mode 0777)"},
		{"versions directory sticky", func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o777|os.ModeSticky)) }, "others can write to (mode 1777)"},
		{"parent writable", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Dir(dir), 0o777)) }, "without the sticky bit"},
		{"versions directory a link", func(t *testing.T, dir string) {
			must(t, os.Rename(dir, dir+".real"))
			must(t, os.Symlink(dir+".real", dir))
		}, "is a symbolic link, not a directory"},
		{"versions directory a file", func(t *testing.T, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		}, "is a regular file, not a directory"},
		{"owner", func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give directories away")
			}
			must(t, os.Chown(dir, 12345, -1))
		}, "is a directory of user 12345, want 0"},
		{"parent's owner", func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give directories away")
			}
			must(t, os.Chown(filepath.Dir(dir), 12345, -1))
		}, "is a parent directory of user 12345, want 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, f := stored(t)
			test.spoil(t, d.Location())
			_, listed := d.List(t.Context(), versions.Filter{})
			_, begun := d.Begin(t.Context(), "run")
			_, opened := d.Open(t.Context(), f.Execution)
			_, read := d.Read(t.Context(), f)
			appended := d.Append(t.Context(), versions.Entry{Event: versions.EventCleanup})
			_, _, located := versions.Locate(f.Location)
			for name, err := range map[string]error{"List": listed, "Begin": begun, "Open": opened, "Read": read, "Append": appended, "Locate": located} {
				var insecure *versions.InsecureError
				if !errors.As(err, &insecure) || !strings.Contains(insecure.Problem, test.problem) || insecure.Remedy == "" {
					t.Errorf("%s: got %v, want an *InsecureError with %q and a remedy", name, err, test.problem)
				}
			}
		})
	}
}

// Parents that others can write to are fine with the sticky bit, and so are links of ours on the
// way.
func TestParents(t *testing.T) {
	parent := filepath.Join(tempDir(t), "sticky")
	must(t, os.Mkdir(parent, 0o700))
	must(t, os.Chmod(parent, 0o777|os.ModeSticky))
	link := filepath.Join(filepath.Dir(parent), "link")
	must(t, os.Symlink("../"+filepath.Base(filepath.Dir(parent))+"/./sticky", link))
	d, err := versions.NewDir(filepath.Join(link, "a", "b"))
	must(t, err)
	e, err := d.Begin(t.Context(), "run")
	must(t, err)
	must(t, e.Close())
	for _, dir := range []string{"a", "a/b"} {
		info, err := os.Stat(filepath.Join(parent, dir))
		must(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got mode %v, want 0700", dir, info.Mode())
		}
	}
	loop := filepath.Join(filepath.Dir(parent), "loop")
	must(t, os.Symlink(loop, loop))
	d, err = versions.NewDir(filepath.Join(loop, "versions"))
	must(t, err)
	if _, err := d.List(t.Context(), versions.Filter{}); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link to itself: got %v, want ELOOP", err)
	}
}

func TestMissingDirectory(t *testing.T) {
	d := newDir(t)
	if listing := list(t, d); len(listing.Executions) != 0 {
		t.Errorf("got %+v, want nothing", listing)
	}
	for _, err := range d.Journal(t.Context(), versions.Filter{}) {
		t.Errorf("journal: got %v, want nothing", err)
	}
	if _, err := d.Open(t.Context(), "1-run"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: got %v, want fs.ErrNotExist", err)
	}
	if removed, err := versions.Cleanup(t.Context(), d, versions.CleanupOptions{}); err != nil || len(removed) != 0 {
		t.Errorf("cleanup: got %v, %v, want nothing", removed, err)
	}
	if _, err := os.Lstat(filepath.Dir(d.Location())); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want nothing made by looking", err)
	}
}

func TestLocate(t *testing.T) {
	d, f := stored(t)
	t.Chdir(filepath.Dir(f.Location))
	for _, path := range []string{f.Location, f.Name, "./../" + f.Execution + "/" + f.Name} {
		store, got, err := versions.Locate(path)
		must(t, err)
		if store.Location() != d.Location() || got.Name != f.Name || got.Execution != f.Execution || got.Location != f.Location || got.Size != f.Size {
			t.Errorf("%q: got %q, %+v, want %q, %+v", path, store.Location(), got, d.Location(), f)
		}
	}
	if _, _, err := versions.Locate("pod_1_abcdefgh.star"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
	for _, path := range []string{"", "/", "x.star", "/tmp/pod_1_abcdefgh.star"} {
		if _, _, err := versions.Locate(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v, want that the name is wrong", path, err)
		}
	}
}

func TestNewDir(t *testing.T) {
	for _, path := range []string{"", "/", "//"} {
		if _, err := versions.NewDir(path); err == nil {
			t.Errorf("%q: got no error", path)
		}
	}
	t.Chdir(tempDir(t))
	d, err := versions.NewDir("a/../b")
	must(t, err)
	if !filepath.IsAbs(d.Location()) || filepath.Base(d.Location()) != "b" {
		t.Errorf("got %q, want an absolute path", d.Location())
	}
}

func TestWarnings(t *testing.T) {
	for path, want := range map[string]string{
		"/tmp/kraken-rollback":     "systemd-tmpfiles",
		"/var/tmp/kraken-rollback": "systemd-tmpfiles",
		"/run/no/such/parent":      "reboot",
	} {
		d, err := versions.NewDir(path)
		must(t, err)
		if got := strings.Join(d.Warnings(), "\n"); !strings.Contains(got, want) || !strings.Contains(got, path) {
			t.Errorf("%s: got %q, want it to name the path and %q", path, got, want)
		}
	}
	d, err := versions.NewDir("/tmpfoo")
	must(t, err)
	if got := strings.Join(d.Warnings(), "\n"); strings.Contains(got, "systemd") {
		t.Errorf("got %q, want nothing about /tmp", got)
	}
}
