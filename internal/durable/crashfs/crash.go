package crashfs

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
)

// Crasher examines what power losses leave of recorded lives. Its zero value but for At and Random
// examines all states at all points.
type Crasher struct {
	At     string // where trees are planted; what is there is removed
	Random *rand.Rand
	Each   int // states drawn at each point, of those that are possible; 0: all
	OneOf  int // so many points is examined; 0: each of them

	Points, States int // how many there were
	examined       map[[2 * sha256.Size]byte]bool
}

// Different is how many of the states were not the same as one before.
func (c *Crasher) Different() int { return len(c.examined) }

// Examine crashes a life after each of its events from one on, and says what is wrong: check looks
// at what is planted at a directory, which stands for the recorder's base, and knows what was noted
// last before the crash; nil if nothing was.
func (c *Crasher) Examine(r *Recorder, from int, check func(root string, note any) error) error {
	if c.examined == nil {
		c.examined = map[[2 * sha256.Size]byte]bool{}
	}
	d, known := newDisk(), any(nil)
	sum := sha256.Sum256(nil)
	for i := -1; i < len(r.events); i++ {
		if i >= 0 {
			e := r.events[i]
			d.apply(e)
			if e.op == "note" {
				known = e.note
				sum = sha256.Sum256(fmt.Appendf(nil, "%+v", known))
			}
		}
		last := i == len(r.events)-1
		if !last && (i < from || c.OneOf > 1 && c.Random.IntN(c.OneOf) > 0) {
			continue
		}
		c.Points++
		if err := c.crash(d, sum, last, func() error { return check(c.At, known) }); err != nil {
			return fmt.Errorf("after %d events, the last of which is %s: %w", i+1, r.Tail(i), err)
		}
	}
	return nil
}

func (c *Crasher) crash(d *disk, sum [sha256.Size]byte, last bool, check func() error) error {
	outcomes := d.outcomes(c.Random, 8)
	lost := len(tears) + 1
	if last || !d.dirty() {
		lost = 1
	}
	n := len(outcomes) * lost
	tries := n
	if c.Each > 0 && !last { // what was forgotten until the end of a life has no other point to show at
		tries = min(n, c.Each)
	}
	for i := range tries {
		if tries < n {
			i = c.Random.IntN(n)
		}
		c.States++
		t := d.crash(c.Random, outcomes[i/lost], i%lost)
		id := [2 * sha256.Size]byte{}
		state := t.sum()
		copy(id[:], state[:])
		copy(id[sha256.Size:], sum[:])
		if c.examined[id] {
			continue
		}
		if err := t.plant(c.At); err != nil {
			return err
		}
		if err := check(); err != nil {
			return fmt.Errorf("power loss: %w\n%s", err, t)
		}
		c.examined[id] = true
	}
	return nil
}

func (t tree) String() string {
	text := ""
	for path, o := range t {
		text += fmt.Sprintf("\t%s %v %o %.60q\n", path, o.isDir, o.mode, o.content)
	}
	return text
}
