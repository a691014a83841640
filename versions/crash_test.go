package versions

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/durable"
)

// crashes examines what power losses leave of recorded lives.
type crashes struct {
	at       string // where trees are planted
	random   *rand.Rand
	each     int // states drawn at each prefix, of those that are possible; 0: all
	oneOf    int // so many prefixes is examined; 0: each of them
	prefixes int
	states   int
	examined map[[2 * sha256.Size]byte]bool
}

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

func newCrashes(t testing.TB) *crashes {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("EBB_CRASH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("EBB_CRASH_SEED: got %q, want a number", text)
		}
	}
	c := &crashes{at: filepath.Join(fastDir(t), "crash"), random: rand.New(rand.NewPCG(seed, 0)), examined: map[[2 * sha256.Size]byte]bool{}}
	before := stamps.last.Load()
	t.Cleanup(func() {
		stamps.last.Store(before)
		t.Logf("%d prefixes, %d crash states, %d of them different; EBB_CRASH_SEED=%d", c.prefixes, c.states, len(c.examined), seed)
	})
	return c
}

// examine crashes a life after each of its events from one on, and says what is wrong.
func (c *crashes) examine(l *life, from int) error {
	d, known := newDisk(), &truth{}
	sum := sha256.Sum256(nil)
	for i := -1; i < len(l.rec.events); i++ {
		if i >= 0 {
			e := l.rec.events[i]
			d.apply(e)
			if e.truth != nil {
				known = e.truth
				sum = sha256.Sum256(fmt.Appendf(nil, "%+v", *known))
			}
		}
		last := i == len(l.rec.events)-1
		if !last && (i < from || c.oneOf > 1 && c.random.IntN(c.oneOf) > 0) {
			continue
		}
		c.prefixes++
		if err := c.crash(l, d, known, sum, last); err != nil {
			return fmt.Errorf("after %d events, the last of which is %s: %w", i+1, l.rec.tail(i), err)
		}
	}
	return nil
}

// tail prints the last events before a crash.
func (r *recorder) tail(i int) string {
	text := ""
	for _, e := range r.events[max(i-11, 0) : i+1] {
		if e.truth != nil {
			continue
		}
		text += fmt.Sprintf("\n\t%s %d/%d %s %s", e.op, e.dir, e.node, e.name, e.to)
	}
	return text
}

func (c *crashes) crash(l *life, d *disk, known *truth, sum [sha256.Size]byte, last bool) error {
	outcomes := d.outcomes(c.random, 8)
	lost := len(tears) + 1
	if last || !d.dirty() {
		lost = 1
	}
	n := len(outcomes) * lost
	tries := n
	if c.each > 0 && !last { // what was forgotten until the end of a life has no other prefix to show at
		tries = min(n, c.each)
	}
	for i := range tries {
		if tries < n {
			i = c.random.IntN(n)
		}
		c.states++
		t := d.crash(c.random, outcomes[i/lost], i%lost)
		id := [2 * sha256.Size]byte{}
		state := t.sum()
		copy(id[:], state[:])
		copy(id[sha256.Size:], sum[:])
		if c.examined[id] {
			continue
		}
		c.examined[id] = true
		if err := t.plant(c.at); err != nil {
			return err
		}
		rel, err := filepath.Rel(l.rec.base, l.path)
		if err != nil {
			return err
		}
		if err := known.examine(filepath.Join(c.at, rel), true); err != nil {
			return fmt.Errorf("power loss: %w\n%s", err, t)
		}
	}
	return nil
}

func (t tree) String() string {
	text := ""
	for path, o := range t {
		text += fmt.Sprintf("\t%s %v %o %q\n", path, o.isDir, o.mode, shorten(o.content, 60))
	}
	return text
}

// rival makes each directory of the path a moment earlier, and does not sync it.
type rival struct{ durable.System }

func (r rival) Mkdir(dir *os.File, name string) error {
	if _, _, err := parseExecutionID(name); err == nil {
		return r.System.Mkdir(dir, name)
	}
	return errors.Join(r.System.Mkdir(dir, name), r.System.Mkdir(dir, name))
}

// Whatever of the last changes a power loss took, at every point of a store's life: no file that was acknowledged is missing, none is torn,
// and it goes on.
func TestCrash(t *testing.T) {
	c := newCrashes(t)
	dir := fastDir(t)
	c.each = 20 * soak(t)
	for range soak(t) {
		l, err := newLife(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.start().wholeLife(); err != nil {
			t.Fatal(err)
		}
		if err := c.examine(l, -1); err != nil {
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
		if err := c.examine(l, -1); err != nil {
			t.Fatal(err)
		}
	}
}

// A process that dies at any call leaves a store in order to the next one; and what that one did survives a power loss, too.
func TestCrashAfterDeath(t *testing.T) {
	for _, heir := range heirs {
		t.Run(heir.name, func(t *testing.T) {
			c := newCrashes(t)
			c.each, c.oneOf = soak(t), max(5-soak(t), 1)
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
				death := len(l.rec.events) - 1
				if err := heir.do(l.start()); err != nil {
					t.Fatalf("after a death at call %d, %s: %v", call, l.rec.tail(death), err)
				}
				if err := c.examine(l, death); err != nil {
					t.Fatalf("after a death at call %d, %s: %v", call, l.rec.tail(death), err)
				}
			}
		})
	}
}
