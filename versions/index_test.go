package versions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// indexing is a store whose processes index all at once.
func indexing(path string, system durable.System, boot string) *Dir {
	return &Dir{path: path, system: system, index: sharedIndex{from: 1, quiet: -time.Hour, boot: boot}}
}

// unindexed is a store that takes no index for one.
func unindexed(path string) *Dir {
	return &Dir{path: path, system: durable.OS{}, index: sharedIndex{boot: "of no index"}}
}

// wholeNotes are the contents of files: what differs in them is seen.
var wholeNotes = Noter{Kind: "content", Note: func(content []byte) string { return string(content) }}

// waitForClock waits until what is changed from now on has another time than what was changed before.
// Stores that index all at once need it; others wait for indexQuiet.
func waitForClock(dir string) error {
	stamp := func() (time.Time, error) {
		path := filepath.Join(dir, "clock")
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			return time.Time{}, err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return time.Time{}, err
		}
		st := info.Sys().(*syscall.Stat_t)
		return time.Unix(st.Ctim.Unix()), os.Remove(path)
	}
	first, err := stamp()
	for now := first; err == nil && !now.After(first); now, err = stamp() {
		time.Sleep(100 * time.Microsecond)
	}
	return err
}

// told is what a store tells of its pending files.
func told(t interface{ Fatal(...any) }, d *Dir) []string {
	notes, err := d.Notes(context.Background(), Filter{}, wholeNotes)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, n := range notes {
		all = append(all, fmt.Sprintf("%+v %s %v %q", n.File, n.RunUUID, n.Unread, n.Note))
	}
	listing, err := d.List(context.Background(), Filter{PendingOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range listing.Executions {
		all = append(all, fmt.Sprintf("%+v", x))
	}
	for x, err := range d.Executions(context.Background(), Filter{PendingOnly: true, NamesOnly: true}) {
		if err != nil && !errors.As(err, new(*EntryError)) {
			t.Fatal(err)
		}
		for _, f := range x.Files {
			all = append(all, "counted: "+f.Key())
		}
	}
	ours, foreign, err := CountPending(context.Background(), d, Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return append(all, fmt.Sprintf("%d, %d of Krkn's, %+v", ours, foreign, listing.Problems))
}

// changes are what can happen to a file of a store, its execution and the index, by people's hands, by
// programs, and by ebb itself.
var changes = map[string]func(d *Dir, f File, other string) error{
	"edited in place": func(_ *Dir, f File, _ string) error { return edit(f.Location, 'e') },
	"edited in place, with its old time": func(_ *Dir, f File, _ string) error {
		info, err := os.Stat(f.Location)
		if err != nil {
			return err
		}
		return errors.Join(edit(f.Location, 't'), os.Chtimes(f.Location, info.ModTime(), info.ModTime()))
	},
	"edited as an editor does": func(_ *Dir, f File, other string) error {
		return errors.Join(os.WriteFile(other, []byte("edited"), 0o700), os.Rename(other, f.Location))
	},
	"edited by ebb": func(d *Dir, f File, _ string) error {
		return d.inside(f, func(e Execution) error {
			_, err := e.Replace(context.Background(), f, []byte("replaced"))
			return err
		})
	},
	"executed": func(d *Dir, f File, _ string) error {
		return d.inside(f, func(e Execution) error {
			_, err := e.MarkExecuted(context.Background(), f)
			return err
		})
	},
	"removed by ebb": func(d *Dir, f File, _ string) error {
		return d.inside(f, func(e Execution) error { return e.Remove(context.Background(), f) })
	},
	"flushed": func(d *Dir, f File, _ string) error {
		return d.inside(f, func(e Execution) error {
			_, err := e.Flush(context.Background(), "pod", []byte("flushed"))
			return err
		})
	},
	"renamed": func(_ *Dir, f File, _ string) error {
		return os.Rename(f.Location, filepath.Join(filepath.Dir(f.Location), "pod_7_renamedx.star"))
	},
	"executed by hand":         func(_ *Dir, f File, _ string) error { return os.Rename(f.Location, f.Location+".executed") },
	"removed":                  func(_ *Dir, f File, _ string) error { return os.Remove(f.Location) },
	"made writable for others": func(_ *Dir, f File, _ string) error { return os.Chmod(f.Location, 0o777) },
	"made ours again":          func(_ *Dir, f File, _ string) error { return os.Chmod(f.Location, 0o700) },
	"linked":                   func(_ *Dir, f File, other string) error { return os.Link(f.Location, other) },
	"a link": func(_ *Dir, f File, other string) error {
		return errors.Join(os.Rename(f.Location, other), os.Symlink(other, f.Location))
	},
	"planted": func(_ *Dir, f File, _ string) error {
		return os.WriteFile(filepath.Join(filepath.Dir(f.Location), "pod_8_plantedx.star"), []byte("planted"), 0o700)
	},
	"planted, of Krkn": func(_ *Dir, f File, _ string) error {
		return os.WriteFile(filepath.Join(filepath.Dir(f.Location), "pod_9_plantedx.py"), []byte("planted"), 0o700)
	},
	"something planted": func(_ *Dir, f File, _ string) error {
		return os.WriteFile(filepath.Join(filepath.Dir(f.Location), "notes.txt"), nil, 0o700)
	},
	"an execution planted": func(d *Dir, f File, _ string) error {
		dir := filepath.Join(d.path, "5-planted")
		return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, f.Name), []byte("planted"), 0o700))
	},
	"restored from a backup": func(_ *Dir, f File, other string) error {
		dir := filepath.Dir(f.Location)
		return errors.Join(exec.Command("cp", "-a", dir, other).Run(), edit(filepath.Join(other, f.Name), 'b'), os.RemoveAll(dir), os.Rename(other, dir))
	},
	"all restored from a backup": func(d *Dir, f File, other string) error {
		copied := filepath.Join(other, filepath.Base(filepath.Dir(f.Location)), f.Name)
		return errors.Join(exec.Command("cp", "-a", d.path, other).Run(), edit(copied, 'B'), os.RemoveAll(d.path), os.Rename(other, d.path))
	},
	"moved away": func(_ *Dir, f File, other string) error { return os.Rename(filepath.Dir(f.Location), other) },
	"exchanged": func(d *Dir, f File, other string) error {
		entries, err := os.ReadDir(d.path)
		if err != nil {
			return err
		}
		dir := filepath.Dir(f.Location)
		for _, entry := range entries {
			second := filepath.Join(d.path, entry.Name())
			if entry.IsDir() && second != dir {
				return errors.Join(os.Rename(dir, other), os.Rename(second, dir), os.Rename(other, second))
			}
		}
		return nil
	},
	"an execution's mode": func(_ *Dir, f File, _ string) error { return os.Chmod(filepath.Dir(f.Location), 0o777) },
	"an index cut off":    func(d *Dir, _ File, _ string) error { return truncateHalf(filepath.Join(d.path, indexName)) },
	"an index harmed": func(d *Dir, _ File, _ string) error {
		path := filepath.Join(d.path, indexName)
		content, err := os.ReadFile(path)
		if err != nil || len(content) == 0 {
			return ignoreMissing(err)
		}
		content[len(content)/2] ^= 1
		return os.WriteFile(path, content, 0o600)
	},
	"an index of another boot": func(d *Dir, _ File, _ string) error {
		path := filepath.Join(d.path, indexName)
		content, err := os.ReadFile(path)
		x, ok := parseIndex(content)
		if err != nil || !ok {
			return ignoreMissing(err)
		}
		x.boot = "another"
		for id, e := range x.entries {
			var lies []indexedFile
			for f := range e.all() {
				f.note = "a lie"
				lies = append(lies, f)
			}
			x.entries[id] = indexed{e.dir, encodeFiles(lies)}
		}
		return os.WriteFile(path, x.encode(), 0o600)
	},
	"an index of others": func(d *Dir, _ File, _ string) error {
		return ignoreMissing(os.Chmod(filepath.Join(d.path, indexName), 0o666))
	},
	"an index begun": func(d *Dir, _ File, _ string) error {
		return os.WriteFile(filepath.Join(d.path, indexBegun), nil, 0o600)
	},
	"nothing": func(*Dir, File, string) error { return nil },
}

// inside does something to the execution of a file.
func (d *Dir) inside(f File, do func(Execution) error) error {
	e, err := d.Open(context.Background(), f.Execution)
	if err != nil {
		return nil //nolint:nilerr // one that is refused is left alone
	}
	_ = do(e) // likewise
	return e.Close()
}

// edit changes the first byte of a file.
func edit(path string, b byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{b}, 0)
	return errors.Join(err, f.Close())
}

func truncateHalf(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return ignoreMissing(err)
	}
	return os.Truncate(path, info.Size()/2)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Whatever happens to a store between two looks, those of two processes that keep an index tell the same as
// one of a process that has none.
func TestIndexMatchesDirectory(t *testing.T) {
	names := slices.Sorted(maps.Keys(changes))
	base := fastDir(t)
	rapid.Check(t, func(t *rapid.T) {
		root, err := os.MkdirTemp(base, "index")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, "versions")
		processes := []*Dir{indexing(path, durable.OS{}, ""), indexing(path, durable.OS{}, "")}
		for i := range 4 {
			if err := flushOne(processes[0], fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range rapid.IntRange(1, 8).Draw(t, "changes") {
			other := filepath.Join(root, fmt.Sprintf("other-%d", i))
			d := processes[rapid.IntRange(0, 1).Draw(t, "process")]
			if rapid.Bool().Draw(t, "a new process") {
				*d = *indexing(path, durable.OS{}, "")
			}
			got := told(t, d)
			if want := told(t, unindexed(path)); !reflect.DeepEqual(got, want) {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if err := waitForClock(root); err != nil {
				t.Fatal(err)
			}
			listing, err := unindexed(path).List(context.Background(), Filter{PendingOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			var files []File
			for _, x := range listing.Executions {
				files = append(files, x.Files...)
			}
			if len(files) == 0 {
				break
			}
			f := files[rapid.IntRange(0, len(files)-1).Draw(t, "file")]
			// What can't be done is not done: a change may have made another impossible.
			_ = changes[rapid.SampledFrom(names).Draw(t, "change")](processes[1], f, other)
		}
		for _, d := range append(processes, indexing(path, durable.OS{}, "")) {
			if got, want := told(t, d), told(t, unindexed(path)); !reflect.DeepEqual(got, want) {
				t.Fatalf("at last: got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
		if err := os.RemoveAll(root); err != nil {
			t.Fatal(err)
		}
	})
}

func flushOne(d *Dir, run string) error {
	e, err := d.Begin(context.Background(), run)
	if err != nil {
		return err
	}
	_, err = e.Flush(context.Background(), "pod", []byte("content of "+run))
	return errors.Join(err, e.Close())
}

// Each change makes the index worth nothing for what it has changed, and nothing is read again that has not
// changed.
func TestIndexIsUsed(t *testing.T) {
	path := filepath.Join(fastDir(t), "versions")
	for i := range 3 {
		if err := flushOne(unindexed(path), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	read := 0
	counting := Noter{Kind: "content", Note: func(content []byte) string { read++; return string(content) }}
	look := func(d *Dir, n Noter) []Noted {
		t.Helper()
		read = 0
		notes, err := d.Notes(t.Context(), Filter{}, n)
		if err != nil {
			t.Fatal(err)
		}
		return notes
	}
	old := unindexed(path)
	old.index = sharedIndex{from: 1, quiet: time.Hour} // however long a step takes
	look(old, counting)
	if _, err := os.Stat(filepath.Join(path, indexName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("all has changed just now: got an index (%v), want none", err)
	}
	if look(old, counting); read != 3 {
		t.Errorf("all has changed just now: %d files were read, want 3", read)
	}
	if look(indexing(path, durable.OS{}, ""), counting); read != 3 {
		t.Errorf("without an index: %d files were read, want 3", read)
	}
	if got := look(indexing(path, durable.OS{}, ""), counting); read != 0 || len(got) != 3 || !strings.HasPrefix(got[0].Note, "content of ") {
		t.Errorf("with an index: %d files were read, got %+v, want 3 with their contents and none read", read, got)
	}
	if err := waitForClock(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := edit(look(indexing(path, durable.OS{}, ""), counting)[1].Location, 'x'); err != nil {
		t.Fatal(err)
	}
	if look(indexing(path, durable.OS{}, ""), counting); read != 1 {
		t.Errorf("one was edited: %d files were read, want 1", read)
	}
	wanting := counting
	wanting.Wanted = func(note string) bool { return note == "content of 2" }
	if got := look(indexing(path, durable.OS{}, ""), wanting); read != 0 || len(got) != 1 || got[0].Note != "content of 2" {
		t.Errorf("one is wanted: %d files were read, got %+v, want it and none read", read, got)
	}
	other := counting
	other.Kind = "another"
	if look(indexing(path, durable.OS{}, ""), other); read != 3 {
		t.Errorf("notes of another kind: %d files were read, want 3", read)
	}
	if look(indexing(path, durable.OS{}, "another"), counting); read != 3 {
		t.Errorf("another boot: %d files were read, want 3", read)
	}
}

// What is no index is none.
func FuzzParseIndex(f *testing.F) {
	x := &index{boot: "b", notes: "n", entries: map[string]indexed{"1-run": {files: encodeFiles([]indexedFile{{name: "f", note: "note"}})}, "2-run": {}}}
	f.Add(x.encode())
	f.Add([]byte(indexMagic))
	f.Fuzz(func(t *testing.T, content []byte) {
		x, ok := parseIndex(content)
		if !ok {
			return
		}
		again, ok := parseIndex(x.encode())
		if !ok || !reflect.DeepEqual(x, again) {
			t.Errorf("got %+v, want %+v", again, x)
		}
	})
	if got, ok := parseIndex(x.encode()); !ok || !reflect.DeepEqual(got, x) {
		f.Errorf("got %+v, want %+v", got, x)
	}
}
