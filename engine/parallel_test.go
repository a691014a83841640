package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ebb-chaos/ebb/engine"
	"go.starlark.net/starlark"
)

func TestParallel(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: world()})
	for _, test := range []struct{ expr, want string }{
		{"parallel(lambda i: i * i, range(200))[199]", "39601"},
		{"parallel(len, [])", "[]"},
		{"parallel(fn = len, items = ['a', 'bc'], limit = 1)", "[1, 2]"},
		{"parallel(lambda i: parallel(lambda j: i + j, [1, 2]), [10, 20])", "[[11, 12], [21, 22]]"},
		{"[x.append(2) or x for x in parallel(lambda i: [i], [1])]", "[[1, 2]]"}, // results belong to the caller
	} {
		v, err := call(t, e, "def f(): return "+test.expr)
		if err != nil {
			t.Errorf("%s: %v", test.expr, detail(err))
		} else if v.String() != test.want {
			t.Errorf("%s: got %s, want %s", test.expr, v, test.want)
		}
	}
}

func TestParallelFailures(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: world(), Limits: engine.Limits{Steps: 100_000}})
	for _, test := range []struct{ src, want string }{
		{"def f(): parallel(lambda i: fail('no', i) if i % 2 else i, range(9), limit = 4)", "test.star:1:33: 4 of 9 items failed, the first at index 1: no 1"},
		{"def f(): attempt(parallel, lambda i: [fail, len][i](2), [0, 1])", "test.star:1:52: 2 of 2 items failed, the first at index 1: len: value of type int has no len"},
		{"def f(): parallel(len, [], limit = 0)", "test.star:1:18: parallel: for parameter limit: got 0, want 1 to 256"},
		{"def f(): parallel(len, [], limit = 257)", "test.star:1:18: parallel: for parameter limit: got 257, want 1 to 256"},
		{"def f(): parallel(1, [])", "test.star:1:18: parallel: for parameter fn: got int, want callable"},
		{"def f(): parallel(len, 1)", "test.star:1:18: parallel: for parameter items: got int, want iterable"},
		{"def f():\n  l = []\n  parallel(lambda x: l.append(x), [1, 2])", "test.star:3:30: 2 of 2 items failed, the first at index 0: append: cannot append to frozen list"},
		{"def f():\n  l = [[]]\n  parallel(lambda x: x.append(1), l)", "test.star:3:30: 1 of 1 items failed, the first at index 0: append: cannot append to frozen list"},
	} {
		_, err := call(t, e, test.src)
		wantError(t, err, test.want)
	}
}

// A function that spreads itself must end, and not take the machine with it.
func TestParallelOfItself(t *testing.T) {
	_, err := call(t, engine.New(engine.Options{}), "def f(x = 0): parallel(f, [1, 2])")
	if err == nil || !strings.Contains(err.Error(), "parallel: nested more than 3 deep") {
		t.Errorf("got %v", err)
	}
}

func TestParallelBacktraceShowsBothStacks(t *testing.T) {
	_, err := call(t, engine.New(engine.Options{}), "def item(i):\n  fail('no')\ndef f():\n  parallel(item, [1])")
	want := `Traceback (most recent call last):
  test.star:4:11: in f
Error in parallel: 1 of 1 items failed, the first at index 0: no
in parallel:
Traceback (most recent call last):
  test.star:2:7: in item
Error in fail: no`
	if got := err.(*engine.Error).Backtrace(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// All items are tried, also after failures, and never more at a time than the limit.
func TestParallelLimit(t *testing.T) {
	var now, most, all atomic.Int64
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{
		"work": builtin("work", func(context.Context) error {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			all.Add(1)
			return notFound{}
		}),
	}})
	_, err := call(t, e, "def f(): parallel(lambda i: work(), range(500), limit = 3)")
	if err == nil || all.Load() != 500 || most.Load() > 3 {
		t.Errorf("got %v, %d calls, %d at a time; want an error, 500, at most 3", err, all.Load(), most.Load())
	}
}

// The items that have not begun when the context ends never do.
func TestParallelCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var calls atomic.Int64
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{
		"work": builtin("work", func(ctx context.Context) error {
			if calls.Add(1) == 2 {
				cancel()
			}
			<-ctx.Done()
			return notFound{}
		}),
	}})
	m := load(t, e, "def f():\n  attempt(parallel, lambda i: work(), range(1000), limit = 2)\n  fail('went on')")
	_, err := e.Call(ctx, m.Get("f"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
	if calls.Load() != 2 {
		t.Errorf("%d items ran, want 2", calls.Load())
	}
}
