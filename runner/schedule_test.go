package runner

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// replayed is a replay of executions that only say what they would undo, with chains that begin, end
// and fail in any order. Execution i is the i-th newest.
type replayed struct {
	t       *rapid.T
	made    []*chain // as they were read
	fails   []bool
	done    []int // executions, in the order in which they ended
	blocked map[int]bool
	running []*chain
	begun   []*chain
}

func drawReplay(t *rapid.T) *replayed {
	names := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"})
	r := &replayed{t: t, blocked: map[int]bool{}}
	for i := range rapid.IntRange(0, 12).Draw(t, "executions") {
		c := &chain{executions: []versions.ExecutionInfo{{ID: fmt.Sprint(i), Timestamp: int64(-i)}}}
		for _, name := range rapid.SliceOfN(names, 0, 2).Draw(t, "refs") {
			c.refs = append(c.refs, builtins.Ref{Kind: "Pod", Name: name})
		}
		for _, name := range rapid.SliceOfN(names, 0, 1).Draw(t, "unread") {
			if rapid.IntRange(0, 3).Draw(t, "is unread") == 0 {
				c.unread = append(c.unread, fmt.Appendf(nil, "pod = %q", name))
			}
		}
		c.cluster = rapid.IntRange(0, 2).Draw(t, "cluster") > 0
		c.suspect = rapid.IntRange(0, 5).Draw(t, "suspect") == 0
		r.made = append(r.made, c)
		r.fails = append(r.fails, rapid.IntRange(0, 3).Draw(t, "fails") == 0)
	}
	return r
}

// step begins a chain or ends one. It reports whether there was one.
func (r *replayed) step(s *schedule) bool {
	var ready []*chain
	for _, c := range r.running {
		if !slices.ContainsFunc(c.waits, func(other *chain) bool { return !ended(other) }) {
			ready = append(ready, c)
		}
	}
	if len(ready) == 0 || rapid.Bool().Draw(r.t, "begin") {
		if c := s.begin(); c != nil {
			r.running, r.begun = append(r.running, c), append(r.begun, c)
			return true
		}
	}
	if len(ready) == 0 {
		return false
	}
	c := rapid.SampledFrom(ready).Draw(r.t, "ends")
	c.wait()
	for _, x := range c.executions {
		i := int(-x.Timestamp)
		r.blocked[i] = c.failed != nil
		if c.failed == nil && r.fails[i] {
			c.failed = &Result{}
		}
		r.done = append(r.done, i)
	}
	close(c.ended)
	r.running = slices.DeleteFunc(r.running, func(other *chain) bool { return other == c })
	return true
}

func ended(c *chain) bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// TestReplayOrder reads executions in parts of any size, and replays them while others are read: of two
// that share something, the newer one ends before the older one begins, and blocks it if it fails.
func TestReplayOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawReplay(t)
		s, o := newSchedule(), ordering{}
		size := rapid.IntRange(1, 13).Draw(t, "read at once")
		for part := range slices.Chunk(r.made, size) {
			s.add(o.chains(part))
			for rapid.IntRange(0, 3).Draw(t, "goes on") > 0 && r.step(s) {
			}
		}
		s.close()
		for r.step(s) {
		}
		if len(r.running) > 0 || len(r.done) != len(r.made) {
			t.Fatalf("got %v ended and %d chains that wait for ever, want all %d executions", r.done, len(r.running), len(r.made))
		}
		turns := map[int]bool{}
		for _, c := range r.begun {
			turns[c.turn] = true
		}
		if len(turns) != len(r.begun) || len(turns) > 0 && (!turns[0] || !turns[len(turns)-1]) {
			t.Fatalf("got the turns %v of %d chains, want each from 0 on", turns, len(r.begun))
		}
		share := func(a, b *chain) bool {
			return slices.ContainsFunc(a.refs, func(ref builtins.Ref) bool { return slices.Contains(b.refs, ref) || b.mentions(ref) })
		}
		for newer, a := range r.made {
			for older := newer + 1; older < len(r.made); older++ {
				b := r.made[older]
				if !share(a, b) && !share(b, a) {
					continue
				}
				if slices.Index(r.done, newer) > slices.Index(r.done, older) {
					t.Fatalf("%d ended before %d, which is newer and has the same to undo: %v", older, newer, r.done)
				}
				if (r.fails[newer] || r.blocked[newer]) && !r.blocked[older] {
					t.Fatalf("%d was not undone (fails: %t, blocked: %t), and did not block %d", newer, r.fails[newer], r.blocked[newer], older)
				}
			}
			if r.blocked[newer] && size == 1 {
				before := slices.ContainsFunc(r.made[:newer], func(b *chain) bool {
					i := int(-b.executions[0].Timestamp)
					return (share(a, b) || share(b, a)) && (r.fails[i] || r.blocked[i])
				})
				if !before {
					t.Fatalf("%d is blocked, and shares nothing with what was not undone", newer)
				}
			}
		}
	})
}

// TestCloudsFirst: what needs only a cloud is begun before what needs the API, also what is read later;
// what ended a process is begun when all else is.
func TestCloudsFirst(t *testing.T) {
	one := func(i int, ref string, cluster, suspect bool) *chain {
		return &chain{
			executions: []versions.ExecutionInfo{{ID: fmt.Sprint(i), Timestamp: int64(-i)}},
			refs:       []builtins.Ref{{Name: ref}}, cluster: cluster, suspect: suspect,
		}
	}
	s, o := newSchedule(), ordering{}
	s.add(o.chains([]*chain{one(0, "suspect", true, true), one(1, "a", true, false), one(2, "cloud", false, false)}))
	s.add(o.chains([]*chain{one(3, "b", true, false), one(4, "cloud 2", false, false), one(5, "suspect", true, false), one(6, "a", false, false)}))
	var got []string
	begin := func() {
		for c := s.begin(); c != nil; c = s.begin() {
			got = append(got, fmt.Sprintf("%s(%d)", c.executions[0].ID, c.turn))
		}
	}
	begin()
	s.close()
	begin()
	want := []string{"2(0)", "4(2)", "1(1)", "6(3)", "3(4)", "0(5)", "5(6)"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
