package versions_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
)

// remedy carries out a command as somebody would who looks and then agrees.
func remedy(t *testing.T, command string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "yes | ("+command+")")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// insecureError returns the refusal that an error is.
func insecureError(t *testing.T, err error) *versions.InsecureError {
	t.Helper()
	var insecure *versions.InsecureError
	if !errors.As(err, &insecure) {
		t.Fatalf("got %v, want an *InsecureError", err)
	}
	return insecure
}

// more adds executions with a file each.
func more(t *testing.T, d *versions.Dir, n int) {
	t.Helper()
	for range n {
		e, err := d.Begin(t.Context(), "run")
		must(t, err)
		_, err = e.Flush(t.Context(), "pod", []byte("content"))
		must(t, err)
		must(t, e.Close())
	}
}

// open makes everything from the versions directory's parent down writable for all.
func openAll(t *testing.T, d *versions.Dir) {
	t.Helper()
	must(t, filepath.WalkDir(filepath.Dir(d.Location()), func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chmod(path, 0o777))
	}))
}

// allGood checks that nothing is refused any more.
func allGood(t *testing.T, d *versions.Dir, n int) {
	t.Helper()
	listing := list(t, d)
	if len(listing.Executions) != n {
		t.Errorf("got %d executions, want %d", len(listing.Executions), n)
	}
	for _, info := range listing.Executions {
		if len(info.Problems) > 0 {
			t.Errorf("got problems %+v, want none left", info.Problems)
		}
		for _, f := range info.Files {
			if content, err := d.Read(t.Context(), f); err != nil || string(content) != "content" {
				t.Errorf("%s: got %q, %v", f.Location, content, err)
			}
		}
	}
}

// However much is wrong at once: one command is told, and it is enough.
func TestOneRemedyForAll(t *testing.T) {
	d, f := stored(t)
	more(t, d, 3)
	openAll(t, d)
	_, err := d.List(t.Context(), versions.Filter{})
	remedy(t, insecureError(t, err).Remedy)
	allGood(t, d, 4)

	// One execution at once, too.
	must(t, os.Chmod(filepath.Dir(f.Location), 0o777))
	must(t, os.Chmod(f.Location, 0o777))
	_, err = d.Open(t.Context(), f.Execution)
	remedy(t, insecureError(t, err).Remedy)
	allGood(t, d, 4)

	// And so many that no command could name them.
	more(t, d, 26)
	openAll(t, d)
	_, err = d.List(t.Context(), versions.Filter{})
	command := insecureError(t, err).Remedy
	if len(command) > 1500 {
		t.Errorf("got a remedy of %d bytes, want a short one", len(command))
	}
	remedy(t, command)
	allGood(t, d, 30)
}

// A path that is somebody's own file, or another one's directory, is no reason to remove or change
// anything.
func TestRemedyLeavesOthersAlone(t *testing.T) {
	notes := filepath.Join(tempDir(t), "notes")
	must(t, os.WriteFile(notes, []byte("precious"), 0o600))
	link := filepath.Join(tempDir(t), "link")
	must(t, os.Symlink(filepath.Dir(notes), link))
	paths := map[string]string{notes: "mkdir -p -m 0700 ", link: "readlink -f "}
	if os.Geteuid() == 0 {
		theirs := filepath.Join(tempDir(t), "theirs")
		must(t, os.Mkdir(theirs, 0o755))
		must(t, os.Chown(theirs, 12345, -1))
		paths[theirs] = "mkdir -p -m 0700 "
		paths[filepath.Join(theirs, "versions")] = "mkdir -p -m 0700 "
	}
	for path, want := range paths {
		d, err := versions.NewDir(path)
		must(t, err)
		_, err = d.Begin(t.Context(), "run")
		if insecure := insecureError(t, err); !strings.HasPrefix(insecure.Remedy, want) {
			t.Errorf("%s: got %+v, want the remedy %q", path, insecure, want)
		}
	}
}

// What is in a versions directory and is none of ours is put aside under a name that means nothing,
// or copied.
func TestRemediesOfExecutions(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, dir string, f versions.File){
		"link": func(t *testing.T, dir string, _ versions.File) {
			elsewhere := filepath.Join(tempDir(t), "elsewhere")
			must(t, os.Rename(dir, elsewhere))
			must(t, os.Symlink(elsewhere, dir))
		},
		"owner": func(t *testing.T, dir string, f versions.File) {
			if os.Geteuid() != 0 {
				t.Skip("NEEDS ROOT: only root can give directories away")
			}
			must(t, os.Chown(dir, 12345, -1))
			must(t, os.Chown(f.Location, 12345, -1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, f := stored(t)
			plant(t, filepath.Dir(f.Location), f)
			_, err := d.Open(t.Context(), f.Execution)
			remedy(t, insecureError(t, err).Remedy)
			e, err := d.Open(t.Context(), f.Execution)
			if name == "link" {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("got %v, want that it is gone", err)
				}
				return
			}
			must(t, err)
			content, err := e.Read(t.Context(), f)
			if err != nil || string(content) != "content" {
				t.Errorf("got %q, %v", content, err)
			}
			must(t, e.Close())
		})
	}
}
