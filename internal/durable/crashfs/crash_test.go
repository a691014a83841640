package crashfs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/crashfs"
)

// A store of one file, whose user may count on its newest content: each that was stored, or the one
// that is just being stored.
func survives(t *testing.T, careless func(durable.System) durable.System) error {
	t.Helper()
	base := filepath.Join(t.TempDir(), "base")
	for _, dir := range []string{filepath.Dir(base), base} {
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	rec := crashfs.NewRecorder(base)
	d, err := durable.Open(careless(rec), filepath.Join(base, "store"), true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		rec.Note([2]int{i - 1, i})
		if err := d.ReplaceFile("state", fmt.Append(nil, i), 0o600); err != nil {
			t.Fatal(err)
		}
		rec.Note([2]int{i, i})
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	c := crashfs.Crasher{At: filepath.Join(t.TempDir(), "crash"), Random: rand.New(rand.NewPCG(1, 2))}
	err = c.Examine(rec, -1, func(root string, note any) error {
		may, _ := note.([2]int)
		content, err := os.ReadFile(filepath.Join(root, "store", "state"))
		got := string(content)
		if note == nil || may[0] < 0 && errors.Is(err, os.ErrNotExist) || got == fmt.Sprint(may[0]) || got == fmt.Sprint(may[1]) {
			return nil
		}
		return fmt.Errorf("got %q, %w, want one of %v", got, err, may)
	})
	if c.Points == 0 || c.States == 0 || c.Different() == 0 {
		t.Errorf("got %d points, %d states, want some", c.Points, c.States)
	}
	return err
}

func TestCrasher(t *testing.T) {
	if err := survives(t, func(s durable.System) durable.System { return s }); err != nil {
		t.Error(err)
	}
	for name, careless := range map[string]crashfs.Careless{
		"no sync of the directory": {Forgets: func(f *os.File) bool { return filepath.Base(f.Name()) == "store" }},
		"no sync of its parent":    {Forgets: func(f *os.File) bool { return filepath.Base(f.Name()) == "base" }},
		"no sync of the file":      {Forgets: func(f *os.File) bool { return durable.IsTemp(filepath.Base(f.Name())) }},
		"unlink, then rename": {Replaces: func(s durable.System, dir *os.File, from, to string) error {
			if err := s.Unlink(dir, to); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			return s.Rename(dir, from, to)
		}},
	} {
		if err := survives(t, func(s durable.System) durable.System { careless.System = s; return careless }); err == nil {
			t.Errorf("%s: nothing was found", name)
		}
	}
}
