package versions_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/versions"
)

const foreignName = "hog_scenarios_1755523259250697000_nhfdipkz.py"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stored returns a store with one closed execution that has one pending file.
func stored(t testing.TB) (*versions.Dir, versions.File) {
	t.Helper()
	d := newDir(t)
	e, err := d.Begin(t.Context(), "run")
	must(t, err)
	f, err := e.Flush(t.Context(), "pod", []byte("content"))
	must(t, err)
	must(t, e.Close())
	return d, f
}

func list(t testing.TB, d *versions.Dir) versions.Listing {
	t.Helper()
	listing, err := d.List(t.Context(), versions.Filter{})
	must(t, err)
	return listing
}

// What another user could have written is listed with a problem and its remedy, and never read.
func TestInsecureFiles(t *testing.T) {
	for _, test := range []struct {
		name    string
		spoil   func(t *testing.T, path string)
		problem string
		remedy  string
	}{
		{"writable", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o722)) }, "others can write to (mode 0722)", "(umask 077 && cp "},
		{"group writable", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o720)) }, "others can write to (mode 0720)", "(umask 077 && cp "},
		{"hard link", func(t *testing.T, path string) { must(t, os.Link(path, filepath.Dir(path)+"/../other")) }, "2 names", "(umask 077 && cp "},
		{"symbolic link", func(t *testing.T, path string) {
			target := filepath.Join(tempDir(t), "target")
			must(t, os.Rename(path, target))
			must(t, os.Symlink(target, path))
		}, "is a symbolic link, not a regular file", "(umask 077 && cp "},
		{"fifo", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, syscall.Mkfifo(path, 0o700))
		}, "is a FIFO, not a regular file", "mv "},
		{"directory", func(t *testing.T, path string) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		}, "is a directory, not a regular file", "mv "},
		{"owner", func(t *testing.T, path string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			must(t, os.Chown(path, 12345, -1))
		}, "is a file of user 12345, want 0", "(umask 077 && cp "},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, f := stored(t)
			test.spoil(t, f.Location)
			listing := list(t, d)
			if len(listing.Executions) != 1 {
				t.Fatalf("got %+v, want one execution", listing)
			}
			info := listing.Executions[0]
			if len(info.Files) != 1 || info.Files[0].Name != f.Name {
				t.Errorf("got %+v, want the file listed", info.Files)
			}
			if len(info.Problems) != 1 || info.Problems[0].Location != f.Location || !strings.Contains(info.Problems[0].What, test.problem) || !strings.HasPrefix(info.Problems[0].Remedy, test.remedy) {
				t.Errorf("got %+v, want %q and %q", info.Problems, test.problem, test.remedy)
			}
			e, err := d.Open(t.Context(), f.Execution)
			must(t, err)
			_, replaced := e.Replace(t.Context(), f, []byte("x"))
			_, executed := e.MarkExecuted(t.Context(), f)
			_, read := e.Read(t.Context(), f)
			_, unlocked := d.Read(t.Context(), f)
			for name, err := range map[string]error{"Replace": replaced, "MarkExecuted": executed, "Read": read, "Dir.Read": unlocked} {
				var insecure *versions.InsecureError
				if !errors.As(err, &insecure) || insecure.Path != f.Location || !strings.Contains(insecure.Problem, test.problem) {
					t.Errorf("%s: got %v, want an *InsecureError with %q", name, err, test.problem)
				}
			}
			must(t, e.Close())

			// Whoever has the file open still: the remedy leaves him with it, and with nothing that
			// is read.
			planter, err := os.OpenFile(f.Location, os.O_WRONLY|syscall.O_NONBLOCK, 0)
			remedy(t, info.Problems[0].Remedy)
			if err == nil {
				_, err := planter.WriteString(hostileContent)
				must(t, err)
				must(t, planter.Close())
			}
			content, err := d.Read(t.Context(), f)
			if strings.HasPrefix(test.remedy, "mv ") {
				if !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("what was put aside: got %q, %v, want that it is gone", content, err)
				}
			} else if err != nil || string(content) != "content" {
				t.Errorf("after the remedy: got %q, %v, want the content as it was looked at", content, err)
			}
		})
	}
}

func TestLongFile(t *testing.T) {
	d, f := stored(t)
	must(t, os.Truncate(f.Location, versions.MaxFileSize+1))
	if info := list(t, d).Executions[0]; len(info.Problems) != 1 || !strings.Contains(info.Problems[0].What, "1048577 bytes") {
		t.Errorf("got %+v, want the length", info.Problems)
	}
	if _, err := d.Read(t.Context(), f); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got %v, want a refusal", err)
	}
}

// A broken entry is told of, and hides nothing.
func TestProblemsHideNothing(t *testing.T) {
	d, f := stored(t)
	root := d.Location()
	must(t, os.Symlink("/", filepath.Join(root, "2-link")))
	must(t, os.WriteFile(filepath.Join(root, "3-file"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(root, "no\nname"), nil, 0o600))
	must(t, os.Mkdir(filepath.Join(root, "lost+found"), 0o700))
	must(t, os.Mkdir(filepath.Join(root, "4-open"), 0o700))
	must(t, os.WriteFile(filepath.Join(root, "4-open", "pod_1_abcdefgh.star"), []byte("x"), 0o700))
	must(t, os.Chmod(filepath.Join(root, "4-open"), 0o777))
	must(t, os.WriteFile(filepath.Join(root, f.Execution, "x\x1b[31m.star"), nil, 0o700))
	must(t, d.Append(t.Context(), versions.Entry{Event: versions.EventCleanup}))

	listing := list(t, d)
	if len(listing.Problems) != 1 || !strings.Contains(listing.Problems[0].What, `"no\nname"`) {
		t.Errorf("got %+v, want the entry without a name", listing.Problems)
	}
	got := map[string]versions.ExecutionInfo{}
	for _, info := range listing.Executions {
		got[info.ID] = info
		if len(info.Problems) != 1 || strings.ContainsAny(info.Problems[0].What, "\n\x1b") {
			t.Errorf("%s: got problems %+v, want one, printable", info.ID, info.Problems)
		}
	}
	if len(got) != 4 || len(got["4-open"].Files) != 1 || len(got[f.Execution].Files) != 1 {
		t.Errorf("got %+v, want four executions, two with a file", got)
	}
	for _, id := range []string{"2-link", "3-file", "4-open"} {
		if _, err := d.Open(t.Context(), id); !errors.As(err, new(*versions.InsecureError)) {
			t.Errorf("open %q: got %v, want an *InsecureError", id, err)
		}
	}
}

// Journal and notes that are links are not followed.
func TestPlantedLinks(t *testing.T) {
	d, f := stored(t)
	victim := filepath.Join(tempDir(t), "victim")
	must(t, os.WriteFile(victim, []byte("{}"), 0o600))
	must(t, os.Symlink(victim, filepath.Join(d.Location(), "journal.jsonl")))
	must(t, os.Symlink(victim, filepath.Join(filepath.Dir(f.Location), ".lock")))
	if err := d.Append(t.Context(), versions.Entry{Event: versions.EventCleanup}); !errors.As(err, new(*versions.InsecureError)) {
		t.Errorf("append: got %v, want an *InsecureError", err)
	}
	for _, err := range d.Journal(t.Context(), versions.Filter{}) {
		if !errors.As(err, new(*versions.InsecureError)) {
			t.Errorf("journal: got %v, want an *InsecureError", err)
		}
	}
	e, err := d.Open(t.Context(), f.Execution)
	must(t, err)
	must(t, e.Close())
	content, err := os.ReadFile(victim)
	must(t, err)
	if string(content) != "{}" {
		t.Errorf("got %q, want the link's target untouched", content)
	}
}

// Krkn's own leftovers are listed, can be marked, and are never removed.
func TestForeign(t *testing.T) {
	d, _ := stored(t)
	dir := filepath.Join(d.Location(), "5-krkn")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, foreignName), []byte("import os"), 0o644))
	executed := strings.Replace(foreignName, "nhfdipkz", "aaaaaaaa", 1) + ".executed"
	must(t, os.WriteFile(filepath.Join(dir, executed), []byte("import os"), 0o644))
	e, err := d.Open(t.Context(), "5-krkn")
	must(t, err)
	files, err := e.Files(t.Context())
	must(t, err)
	if len(files) != 2 || files[0].Name != foreignName || files[0].ScenarioType != "hog_scenarios" {
		t.Fatalf("got %+v, want both files", files)
	}
	for _, f := range files {
		if f.Kind != versions.KindForeign || f.Replayable() {
			t.Errorf("%q: got kind %q, replayable %v", f.Name, f.Kind, f.Replayable())
		}
		if err := e.Remove(t.Context(), f); err == nil {
			t.Errorf("%q: removed", f.Name)
		}
		if _, err := e.Replace(t.Context(), f, []byte("x")); err == nil {
			t.Errorf("%q: replaced", f.Name)
		}
	}
	done, err := e.MarkExecuted(t.Context(), files[0])
	must(t, err)
	if done.Name != foreignName+".executed" {
		t.Errorf("got %q", done.Name)
	}
	must(t, e.Close())
	if removed, err := versions.Cleanup(t.Context(), d, versions.CleanupOptions{OlderThan: 0, Now: time.Now().Add(time.Hour)}); err != nil || len(removed) != 0 {
		t.Errorf("cleanup: got %v, %v, want nothing", removed, err)
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("got %v, want Krkn's two files and nothing of ours", entries)
	}
}

// Cleanup takes directories that a crash left empty, and none with something unknown in it.
func TestCleanupEmpty(t *testing.T) {
	d, f := stored(t)
	for _, name := range []string{"6-empty", "7-notes"} {
		must(t, os.Mkdir(filepath.Join(d.Location(), name), 0o700))
	}
	notes := filepath.Join(d.Location(), "7-notes", "notes.txt")
	must(t, os.WriteFile(notes, nil, 0o600))
	if _, err := versions.Cleanup(t.Context(), d, versions.CleanupOptions{OlderThan: time.Hour, Now: time.Now()}); err != nil {
		t.Error(err)
	}
	if got := len(list(t, d).Executions); got != 3 {
		t.Errorf("too early: got %d executions, want 3", got)
	}
	_, err := versions.Cleanup(t.Context(), d, versions.CleanupOptions{OlderThan: time.Hour, Now: time.Now().Add(2 * time.Hour)})
	must(t, err)
	var got []string
	for _, info := range list(t, d).Executions {
		got = append(got, info.ID)
	}
	if want := []string{f.Execution, "7-notes"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := os.Stat(notes); err != nil {
		t.Error(err)
	}
}

// The timestamps of what is there count, not only the clock.
func TestFutureEntries(t *testing.T) {
	d, _ := stored(t)
	future := time.Now().Add(24 * time.Hour)
	must(t, os.Mkdir(filepath.Join(d.Location(), fmt.Sprintf("%d-run", future.UnixNano())), 0o700))
	e, err := d.Begin(t.Context(), "run")
	must(t, err)
	if got := list(t, d).Executions[0]; got.ID != e.ID() || got.Timestamp != future.UnixNano()+1 {
		t.Errorf("got newest %q, want %q, one after the newest that was there", got.ID, e.ID())
	}
	must(t, e.Close())
}
