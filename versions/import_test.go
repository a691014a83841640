package versions

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/errorfs"
)

const (
	foreignExecution = "1755523259250697000-run"
	foreignStem      = "hog_scenarios_1755523259250697000_nhfdipkz"
)

// foreign returns a store with one file of Krkn's, and the path of its execution.
func foreign(t *testing.T) (d *Dir, execution string) {
	t.Helper()
	d, err := NewDir(filepath.Join(fastDir(t), "versions"))
	if err != nil {
		t.Fatal(err)
	}
	execution = filepath.Join(d.path, foreignExecution)
	if err := os.MkdirAll(execution, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(execution, foreignStem+".py"), []byte("python"), 0o644); err != nil {
		t.Fatal(err)
	}
	return d, execution
}

// importAll imports what is pending of Krkn's as a new process would.
func importAll(t *testing.T, d *Dir, content string) error {
	t.Helper()
	e, err := d.Open(t.Context(), foreignExecution)
	if err != nil {
		return err
	}
	files, err := e.Files(t.Context())
	for _, f := range files {
		if err == nil && f.Kind == KindForeign && f.State == Pending {
			_, err = e.Import(t.Context(), f, []byte(content))
		}
	}
	return errors.Join(err, e.Close())
}

// state returns the names of the version files, and the content of ours.
func state(t *testing.T, execution string) (names []string, content string) {
	t.Helper()
	entries, err := os.ReadDir(execution)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name, err := parseFileName(entry.Name())
		if err != nil {
			continue
		}
		names = append(names, entry.Name())
		if name.kind == KindVersion {
			data, err := os.ReadFile(filepath.Join(execution, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			content = string(data)
		}
	}
	return names, content
}

// A process that dies at any call of an import leaves Krkn's file pending, or ours whole; and the
// next import ends it, without another undo.
func TestImportKilled(t *testing.T) {
	for call := 1; ; call++ {
		d, execution := foreign(t)
		sys := errorfs.New(durable.OS{})
		d.system = sys
		dead := false
		sys.Inject(func(n int, _ string) error {
			if dead = dead || n >= call; dead {
				return errDead
			}
			return nil
		})
		err := importAll(t, d, "first")
		sys.Inject(nil)
		names, content := state(t, execution)
		if !slices.Contains(names, foreignStem+".py") && content != "first" {
			t.Fatalf("dead at call %d: got %q, want Krkn's file pending or ours", call, names)
		}
		if content != "" && content != "first" {
			t.Fatalf("dead at call %d: got %q, want our file whole", call, content)
		}
		d, err2 := NewDir(d.path)
		if err2 != nil {
			t.Fatal(err2)
		}
		if err := importAll(t, d, "second"); err != nil {
			t.Fatalf("after a death at call %d: %v", call, err)
		}
		names, again := state(t, execution)
		if want := []string{foreignStem + ".py.imported", foreignStem + ".star"}; !slices.Equal(names, want) {
			t.Fatalf("after a death at call %d: got %q, want %q", call, names, want)
		}
		if content == "first" && again != "first" {
			t.Fatalf("after a death at call %d: our file was written twice", call)
		}
		if err == nil && !dead {
			if call < 5 {
				t.Fatalf("an import made %d calls", call-1)
			}
			return
		}
	}
}

// What was imported, and replayed before Krkn's file was renamed, is not pending again.
func TestImportExecuted(t *testing.T) {
	d, execution := foreign(t)
	if err := os.WriteFile(filepath.Join(execution, foreignStem+".star.executed"), []byte("done"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := importAll(t, d, "second"); err != nil {
		t.Fatal(err)
	}
	names, content := state(t, execution)
	if want := []string{foreignStem + ".py.imported", foreignStem + ".star.executed"}; !slices.Equal(names, want) || content != "done" {
		t.Errorf("got %q with %q, want %q with the old content", names, content, want)
	}
}

// Only Krkn's pending files of our own are imported.
func TestImportRefuses(t *testing.T) {
	d, execution := foreign(t)
	path := filepath.Join(execution, foreignStem+".py")
	var insecure *InsecureError
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := importAll(t, d, "x"); !errors.As(err, &insecure) {
		t.Errorf("a file that others can write: got %v, want an *InsecureError", err)
	}
	if err := errors.Join(os.Rename(path, path+".old"), os.Symlink(path+".old", path)); err != nil {
		t.Fatal(err)
	}
	if err := importAll(t, d, "x"); !errors.As(err, &insecure) {
		t.Errorf("a link: got %v, want an *InsecureError", err)
	}
	if names, content := state(t, execution); len(names) != 1 || content != "" {
		t.Errorf("got %q, %q, want nothing new", names, content)
	}
	e, err := d.Begin(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	f, err := e.Flush(t.Context(), "pod", []byte("ours"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Import(t.Context(), f, []byte("x")); err == nil {
		t.Error("one of our own files was imported")
	}
}
