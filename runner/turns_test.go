package runner

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
	"slices"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// TestTurnsLogInOrder lets works log and end in any order: what is read is one work after the other,
// each line with its attributes.
func TestTurnsLogInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "works")
		var out bytes.Buffer
		turns := newTurns(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}}))
		type work struct {
			log  *slog.Logger
			over func()
			left int
		}
		works := map[int]*work{}
		var want strings.Builder
		for i := range n {
			log, over := turns.take(i)
			works[i] = &work{log.With("work", i).WithGroup("g"), over, rapid.IntRange(0, 3).Draw(t, "lines")}
			for line := works[i].left; line > 0; line-- {
				fmt.Fprintf(&want, "msg=line work=%d g.n=%d\n", i, line)
			}
		}
		for len(works) > 0 {
			var open []int
			for i := range n {
				if works[i] != nil {
					open = append(open, i)
				}
			}
			i := rapid.SampledFrom(open).Draw(t, "next")
			w := works[i]
			if w.left == 0 {
				w.over()
				delete(works, i)
				continue
			}
			w.log.Debug("not asked for")
			w.log.Info("line", "n", w.left)
			w.left--
		}
		if got := out.String(); got != want.String() {
			t.Fatalf("got\n%swant\n%s", got, want.String())
		}
	})
}

func TestTurnsSayTheFirstAtOnce(t *testing.T) {
	var out bytes.Buffer
	turns := newTurns(slog.NewTextHandler(&out, nil))
	first, over := turns.take(0)
	second, _ := turns.take(1)
	second.Info("second")
	first.Info("first")
	if got := out.String(); !strings.Contains(got, "first") || strings.Contains(got, "second") {
		t.Errorf("got %q, want the first and not yet the second", got)
	}
	over()
	if !strings.Contains(out.String(), "second") {
		t.Errorf("got %q, want the second too", out.String())
	}
}

func TestPace(t *testing.T) {
	throttled := int64(7) // before anything began
	p := newPace(8, func() kube.Load { return kube.Load{Throttled: throttled} })
	begun := func() (n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.running
	}
	var done []func()
	for range 8 {
		done = append(done, p.begin())
	}
	throttled++
	done[0]()
	if p.allowed != 4 {
		t.Errorf("got %d after it was throttled, want 4", p.allowed)
	}
	// The other seven go on; the next has to wait until only three are left.
	var wait sync.WaitGroup
	wait.Go(func() { p.begin()() })
	for _, done := range done[1:] {
		if n := begun(); n > 8 {
			t.Errorf("%d at the same time, want 8 at most", n)
		}
		done()
	}
	wait.Wait()
	if begun() != 0 || p.allowed != 8 {
		t.Errorf("got %d running and %d allowed, want 0 and 8", begun(), p.allowed)
	}
	for range 5 {
		done := p.begin()
		throttled++
		done()
	}
	if p.allowed != 1 {
		t.Errorf("got %d, want 1: something has to go on", p.allowed)
	}
	if got := newPace(0, func() kube.Load { return kube.Load{} }).most; got != DefaultParallel {
		t.Errorf("the zero value: got %d", got)
	}
}

// A server that becomes slow gets fewer at a time, and more again once it is as it was. One that is always
// slow gets all: it is only far away.
func TestPaceOfSlowServer(t *testing.T) {
	var load kube.Load
	p := newPace(8, func() kube.Load { return load })
	chain := func(took time.Duration) int {
		done := p.begin()
		load.Answers += latencyWindow
		load.Took += latencyWindow * took
		done()
		return p.allowed
	}
	var got []int
	for _, took := range []time.Duration{20, 90, 900, 1100, 2000, 30, 3000, 3000, 3000, 3000, 20, 20} {
		got = append(got, chain(took*time.Millisecond))
	}
	if want := []int{8, 8, 8, 4, 2, 3, 1, 1, 1, 1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	p = newPace(8, func() kube.Load { return load })
	for range 5 {
		if got := chain(5 * time.Second); got != 8 {
			t.Errorf("a server that is far away: got %d, want 8", got)
		}
	}
	done := p.begin()
	load.Answers++
	load.Took += time.Hour
	if done(); p.allowed != 8 {
		t.Errorf("one slow answer: got %d, want 8", p.allowed)
	}
}
