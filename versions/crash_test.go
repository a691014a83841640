package versions

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/internal/durable"
	"github.com/ebb-chaos/ebb/internal/durable/crashfs"
)

// soak is how many times as much as usual is to be tried.
func soak(t testing.TB) int {
	t.Helper()
	text := os.Getenv("EBB_SOAK_CRASHES")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("EBB_SOAK_CRASHES: got %q, want a number of times", text)
	}
	return n
}

// part makes one of so many one of more, where the race detector makes each slow.
func part(of int) int {
	if RaceDetector {
		return 4 * of
	}
	return of
}

func newCrashes(t testing.TB) *crashfs.Crasher {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("EBB_CRASH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("EBB_CRASH_SEED: got %q, want a number", text)
		}
	}
	c := &crashfs.Crasher{At: filepath.Join(fastDir(t), "crash"), Random: rand.New(rand.NewPCG(seed, 0))}
	before := stamps.last.Load()
	t.Cleanup(func() {
		stamps.last.Store(before)
		t.Logf("figures: %d prefixes, %d crash states, %d of them different; EBB_CRASH_SEED=%d", c.Points, c.States, c.Different(), seed)
	})
	return c
}

// examine crashes a life after each of its events from one on, and says what is wrong.
func (l *life) examine(c *crashfs.Crasher, from int) error {
	rel, err := filepath.Rel(l.rec.Base(), l.path)
	if err != nil {
		return err
	}
	return c.Examine(l.rec, from, func(root string, note any) error {
		known, _ := note.(truth) // nothing was promised before the first
		return known.examine(filepath.Join(root, rel), true)
	})
}

// rival makes each directory of the path a moment earlier, and does not sync it.
type rival struct{ durable.System }

func (r rival) Mkdir(dir *os.File, name string) error {
	if _, _, err := parseExecutionID(name); err == nil {
		return r.System.Mkdir(dir, name)
	}
	return errors.Join(r.System.Mkdir(dir, name), r.System.Mkdir(dir, name))
}

// Whatever of the last changes a power loss took, at every point of a store's life: no file that
// was acknowledged is missing, none is torn, and it goes on.
func TestCrash(t *testing.T) {
	c := newCrashes(t)
	dir := fastDir(t)
	c.Each = 20 * soak(t) / part(1)
	for range soak(t) {
		l, err := newLife(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.start().wholeLife(); err != nil {
			t.Fatal(err)
		}
		if err := l.examine(c, -1); err != nil {
			t.Fatal(err)
		}
	}
}

// The same when another process makes the directories, and dies of it.
func TestCrashWithRival(t *testing.T) {
	c := newCrashes(t)
	for _, heir := range heirs {
		l, err := newLife(fastDir(t), func(s durable.System) durable.System { return rival{s} })
		if err != nil {
			t.Fatal(err)
		}
		if err := heir.do(l.start()); err != nil {
			t.Fatal(err)
		}
		if err := l.examine(c, -1); err != nil {
			t.Fatal(err)
		}
	}
}

// A process that dies at any call leaves a store in order to the next one; and what that one did
// survives a power loss, too.
func TestCrashAfterDeath(t *testing.T) {
	for _, heir := range heirs {
		t.Run(heir.name, func(t *testing.T) {
			c := newCrashes(t)
			c.Each, c.OneOf = soak(t), part(max(5-soak(t), 1))
			dir := fastDir(t)
			for call := 1; ; call++ {
				l, err := newLife(dir, nil)
				if err != nil {
					t.Fatal(err)
				}
				p := l.start()
				p.dieAt(call)
				if err := p.wholeLife(); err == nil && !p.dead {
					break // it had fewer calls
				} else if !errors.Is(err, errDead) {
					t.Fatalf("call %d: %v", call, err)
				}
				if err := p.bury(); err != nil {
					t.Fatal(err)
				}
				death := l.rec.Len() - 1
				if err := heir.do(l.start()); err != nil {
					t.Fatalf("after a death at call %d, %s: %v", call, l.rec.Tail(death), err)
				}
				if err := l.examine(c, death); err != nil {
					t.Fatalf("after a death at call %d, %s: %v", call, l.rec.Tail(death), err)
				}
			}
		})
	}
}

// Two processes do what they like, fail and die, and others take their place.
func TestCrashOfRandomLives(t *testing.T) {
	c := newCrashes(t)
	c.Each, c.OneOf = soak(t), part(max(4-soak(t), 1))
	dir := fastDir(t)
	for range soak(t) {
		rapid.Check(t, func(t *rapid.T) {
			l, err := newLife(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			both := []*process{l.start(), l.start()}
			for range rapid.IntRange(10, 40).Draw(t, "steps") {
				p := both[rapid.IntRange(0, 1).Draw(t, "process")]
				if err := p.anything(t); err != nil {
					t.Fatal(err)
				}
				if p.dead {
					if err := p.bury(); err != nil {
						t.Fatal(err)
					}
					*p = *l.start()
				}
			}
			for _, p := range both {
				if err := errors.Join(p.check(), p.bury()); err != nil {
					t.Fatal(err)
				}
			}
			c.Random = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
			if err := l.examine(c, -1); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(l.rec.Base()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// anything does one thing, in which the process may fail or die.
func (p *process) anything(t *rapid.T) error {
	fate := rapid.SampledFrom([]string{"lives", "lives", "lives", "lives", "fails", "dies"}).Draw(t, "fate")
	switch at := rapid.IntRange(1, 9).Draw(t, "at"); fate {
	case "fails":
		p.sys.Inject(func(call int, _ string) error {
			if call == at {
				return syscall.EIO
			}
			return nil
		})
	case "dies":
		p.dieAt(at)
	}
	err := p.act(t, rapid.SampledFrom([]string{
		"begin", "open", "append", "append lazily", "close", "probe", "flush", "flush", "flush", "replace", "mark executed", "mark executed", "remove", "mark", "unmark", "notes", "notes",
	}).Draw(t, "act"))
	if !p.dead {
		p.sys.Inject(nil)
	}
	if errors.Is(err, errDead) || fate == "fails" && errors.Is(err, syscall.EIO) || errors.As(err, new(*LockedError)) {
		err = nil
	}
	return errors.Join(err, p.check())
}

func (p *process) act(t *rapid.T, act string) error {
	switch act {
	case "begin":
		_, err := p.begin()
		return err
	case "append lazily":
		return p.appendLazily()
	case "append":
		return p.append()
	case "notes":
		return p.notes()
	case "open":
		listing, err := (&Dir{path: p.path, system: durable.OS{}}).List(t.Context(), Filter{})
		if err != nil || len(listing.Executions) == 0 {
			return err
		}
		_, err = p.open(listing.Executions[rapid.IntRange(0, len(listing.Executions)-1).Draw(t, "execution")].ID)
		return err
	}
	if len(p.held) == 0 {
		return nil
	}
	e := p.held[rapid.IntRange(0, len(p.held)-1).Draw(t, "held")]
	switch act {
	case "close":
		return p.close(e)
	case "probe":
		return p.probe(e)
	case "flush":
		_, err := p.flush(e, rapid.IntRange(1, 1000).Draw(t, "size"))
		return err
	case "mark":
		unmark, err := p.mark(e)
		if err == nil {
			p.unmarks = append(p.unmarks, unmark)
		}
		return err
	case "unmark":
		if len(p.unmarks) == 0 {
			return nil
		}
		err := p.unmarks[0]()
		p.unmarks = p.unmarks[1:]
		if errors.Is(err, ErrClosed) {
			err = nil
		}
		return err
	}
	files, err := e.Files(t.Context())
	if err == nil && act != "remove" {
		files = slices.DeleteFunc(files, func(f File) bool { return f.State == Executed })
	}
	if err != nil || len(files) == 0 {
		return err
	}
	f := files[rapid.IntRange(0, len(files)-1).Draw(t, "file")]
	switch act {
	case "replace":
		return p.replace(e, f, rapid.IntRange(1, 1000).Draw(t, "size"))
	case "mark executed":
		_, err := p.markExecuted(e, f)
		return err
	default:
		return p.remove(e, f)
	}
}
