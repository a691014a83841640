package versions_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/versions"
)

// raceRounds is how often each race below is run. It is swapped far more often meanwhile.
var raceRounds = map[bool]int{false: 1500, true: 300}[versions.RaceDetector]

const hostileContent = "hostile"

// swapping exchanges two names for each other, as fast as it can, until the test's end.
type swapping struct {
	swaps atomic.Int64
	stop  atomic.Bool
	done  chan struct{}
}

func swap(t *testing.T, a, b string) *swapping {
	s := &swapping{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for !s.stop.Load() {
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				t.Errorf("exchange: %v", err)
				return
			}
			s.swaps.Add(1)
		}
	}()
	return s
}

func (s *swapping) end() int64 {
	s.stop.Store(true)
	<-s.done
	return s.swaps.Load()
}

// foreign gives something to somebody else.
func foreign(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NEEDS ROOT: only root can give files away")
	}
	must(t, os.Lchown(path, 65534, -1))
}

// outcomes counts what came of reading: the good content, or a refusal. Anything else fails the
// test.
type outcomes struct {
	good, refused int
	rounds        int
	began         time.Time
}

// more goes on for a number of rounds, and until both sides of the race were seen. The limit only
// ends a test that fails.
func (o *outcomes) more(rounds int) bool {
	if o.rounds++; o.rounds == 1 {
		o.began = time.Now()
	}
	return o.rounds <= rounds || (o.good == 0 || o.refused == 0) && time.Since(o.began) < time.Minute
}

func (o *outcomes) add(t *testing.T, what string, content []byte, err error) {
	t.Helper()
	var insecure *versions.InsecureError
	switch {
	case err == nil && string(content) == "content":
		o.good++
	case errors.As(err, &insecure), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EINVAL):
		o.refused++
	case err == nil:
		t.Fatalf("%s: got %q", what, content)
	default:
		t.Fatalf("%s: %v", what, err)
	}
}

func (o *outcomes) check(t *testing.T, swaps int64) {
	t.Helper()
	t.Logf("figures: %d rounds: %d good, %d refused, %d swaps", o.rounds, o.good, o.refused, swaps)
	if o.good == 0 || o.refused == 0 {
		t.Errorf("got %d good and %d refused: both sides of the race should be seen", o.good, o.refused)
	}
}

// A file is what it was found to be at the descriptor that it is read from: whatever takes its name
// meanwhile.
func TestRaceFile(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, path, elsewhere string){
		"foreign":   func(t *testing.T, path, _ string) { foreign(t, path) },
		"writable":  func(t *testing.T, path, _ string) { must(t, os.Chmod(path, 0o777)) },
		"hard link": func(t *testing.T, path, elsewhere string) { must(t, os.Link(path, elsewhere)) },
		"link": func(t *testing.T, path, elsewhere string) {
			must(t, os.Rename(path, elsewhere))
			must(t, os.Symlink(elsewhere, path))
		},
		"FIFO": func(t *testing.T, path, _ string) {
			must(t, os.Remove(path))
			must(t, syscall.Mkfifo(path, 0o700))
		},
		"directory": func(t *testing.T, path, _ string) {
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, f := stored(t)
			// Outside of the versions directory, so that listings see one name.
			bad := filepath.Join(filepath.Dir(d.Location()), "bad")
			must(t, os.WriteFile(bad, []byte(hostileContent), 0o700))
			plant(t, bad, bad+".elsewhere")
			e, err := d.Open(t.Context(), f.Execution)
			must(t, err)
			s := swap(t, f.Location, bad)
			defer s.end()
			var o outcomes
			for o.more(raceRounds) {
				content, err := d.Read(t.Context(), f)
				o.add(t, "Dir.Read", content, err)
				content, err = e.Read(t.Context(), f)
				o.add(t, "Execution.Read", content, err)
			}
			swaps := s.end()
			must(t, e.Close())
			o.check(t, swaps)
		})
	}
}

// A directory is what it was found to be at the descriptor through which everything in it is
// reached.
func TestRaceDirectory(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, dir, elsewhere string){
		"foreign":  func(t *testing.T, dir, _ string) { foreign(t, dir) },
		"writable": func(t *testing.T, dir, _ string) { must(t, os.Chmod(dir, 0o777)) },
		"link": func(t *testing.T, dir, elsewhere string) {
			must(t, os.Rename(dir, elsewhere))
			must(t, os.Symlink(elsewhere, dir))
		},
		"FIFO": func(t *testing.T, dir, _ string) {
			must(t, os.RemoveAll(dir))
			must(t, syscall.Mkfifo(dir, 0o700))
		},
	} {
		// The execution's directory, the versions directory, and its parent.
		for level, up := range []string{".", "..", "../.."} {
			t.Run(name+" "+[]string{"execution", "versions", "parent"}[level], func(t *testing.T) {
				d, f := stored(t)
				target := filepath.Join(filepath.Dir(f.Location), up)
				rest, err := filepath.Rel(target, f.Location)
				must(t, err)
				bad := filepath.Join(filepath.Dir(filepath.Dir(d.Location())), "bad")
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(bad, rest)), 0o700))
				must(t, os.WriteFile(filepath.Join(bad, rest), []byte(hostileContent), 0o700))
				if level > 0 {
					// Who can plant the parents can plant no file of ours in them.
					foreign(t, filepath.Join(bad, rest))
					foreign(t, filepath.Dir(filepath.Join(bad, rest)))
				}
				plant(t, bad, bad+".elsewhere")
				s := swap(t, target, bad)
				defer s.end()
				var o outcomes
				for o.more(raceRounds / 3) {
					content, err := d.Read(t.Context(), f)
					o.add(t, "Dir.Read", content, err)
					content, err = replay(t.Context(), d, f)
					o.add(t, "replay", content, err)
					if _, err := d.List(t.Context(), versions.Filter{}); err != nil {
						o.add(t, "List", nil, err)
					}
					if _, _, err := versions.Locate(f.Location); err != nil {
						o.add(t, "Locate", nil, err)
					}
				}
				o.check(t, s.end())
			})
		}
	}
}

// replay is the way of a file through an undo, but for the renaming at the end.
func replay(ctx context.Context, d *versions.Dir, f versions.File) (content []byte, err error) {
	e, err := d.Open(ctx, f.Execution)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	files, err := e.Files(ctx)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 {
		return nil, fs.ErrNotExist
	}
	return e.Read(ctx, files[0])
}

// An undo that has begun ends in the directory that it has locked: nothing of the one that took its
// name is renamed, removed or written.
func TestRaceMarkExecuted(t *testing.T) {
	d, f := stored(t)
	dir := filepath.Dir(f.Location)
	moved, bad := dir+".moved", filepath.Join(filepath.Dir(d.Location()), "bad")
	must(t, os.Mkdir(bad, 0o700))
	must(t, os.WriteFile(filepath.Join(bad, f.Name), []byte(hostileContent), 0o700))
	e, err := d.Open(t.Context(), f.Execution)
	must(t, err)
	must(t, os.Rename(dir, moved))
	must(t, os.Symlink(bad, dir))
	content, err := e.Read(t.Context(), f)
	if err != nil || string(content) != "content" {
		t.Errorf("got %q, %v, want the content of the locked directory", content, err)
	}
	_, err = e.MarkExecuted(t.Context(), f)
	must(t, err)
	must(t, e.Close())
	if _, err := os.Lstat(filepath.Join(moved, f.Name+".executed")); err != nil {
		t.Errorf("the file of the locked directory: %v", err)
	}
	entries, err := os.ReadDir(bad)
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != f.Name {
		t.Errorf("got %v, want the other directory as it was", entries)
	}
}

// swapper is a system that changes what a name means between the check and the rename.
type swapper struct {
	durable.OS
	before func()
}

func (s swapper) Rename(dir *os.File, from, to string) error {
	s.before()
	return s.OS.Rename(dir, from, to)
}

func (s swapper) Replace(dir *os.File, from, to string) error {
	s.before()
	return s.OS.Replace(dir, from, to)
}

// MarkExecuted and Replace check a name, and then rename it. What takes its place in between is
// renamed or replaced itself, as a name: no link is followed, and what now bears the name of a
// restored file is refused when somebody reads it.
func TestSwapBeforeRename(t *testing.T) {
	for _, what := range []string{"mark", "replace"} {
		t.Run(what, func(t *testing.T) {
			_, f := stored(t)
			victim := filepath.Join(tempDir(t), "victim")
			must(t, os.WriteFile(victim, []byte("precious"), 0o600))
			d := versions.NewDirOn(filepath.Dir(filepath.Dir(f.Location)), swapper{before: func() {
				must(t, os.Remove(f.Location))
				must(t, os.Symlink(victim, f.Location))
			}})
			e, err := d.Open(t.Context(), f.Execution)
			must(t, err)
			if what == "mark" {
				after, err := e.MarkExecuted(t.Context(), f)
				must(t, err)
				if _, err := e.Read(t.Context(), after); !errors.As(err, new(*versions.InsecureError)) {
					t.Errorf("got %v, want an *InsecureError", err)
				}
			} else {
				after, err := e.Replace(t.Context(), f, []byte("edited"))
				must(t, err)
				if content, err := e.Read(t.Context(), after); err != nil || string(content) != "edited" {
					t.Errorf("got %q, %v, want the edited file in the link's place", content, err)
				}
			}
			must(t, e.Close())
			if content, err := os.ReadFile(victim); err != nil || string(content) != "precious" {
				t.Errorf("what the link leads to: %q, %v", content, err)
			}
		})
	}
}

// Scenario scripts are read the same way.
func TestRaceScripts(t *testing.T) {
	dir := filepath.Join(tempDir(t), "scripts")
	must(t, os.MkdirAll(filepath.Join(dir, "lib"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "lib", "a.star"), []byte("content"), 0o600))
	bad := filepath.Join(filepath.Dir(dir), "bad")
	must(t, os.Mkdir(bad, 0o700))
	must(t, os.WriteFile(filepath.Join(bad, "a.star"), []byte(hostileContent), 0o600))
	must(t, os.Symlink(bad, bad+".link"))
	s := swap(t, filepath.Join(dir, "lib"), bad+".link")
	defer s.end()
	var o outcomes
	scripts := versions.SafeFS(dir, 1<<20)
	for o.more(raceRounds) {
		content, err := fs.ReadFile(scripts, "lib/a.star")
		o.add(t, "ReadFile", content, err)
	}
	o.check(t, s.end())
}
