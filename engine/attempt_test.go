package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/engine"
	"go.starlark.net/starlark"
)

func world() starlark.StringDict {
	return starlark.StringDict{
		"get":    builtin("get", func(context.Context) error { return fmt.Errorf("get: %w", notFound{}) }),
		"broken": builtin("broken", func(context.Context) error { return errors.New("want 1 argument") }),
	}
}

func TestAttemptCatches(t *testing.T) {
	var caught []string
	e := engine.New(engine.Options{
		Predeclared: world(),
		Caught:      func(_ context.Context, err error) { caught = append(caught, err.Error()) },
	})
	for _, test := range []struct{ expr, want string }{
		{"attempt(lambda: 1)", `struct(error = None, ok = True, value = 1)`},
		{"attempt(dict, [('a', 1)], b = 2)", `struct(error = None, ok = True, value = {"a": 1, "b": 2})`},
		{"attempt(fail, 'no', 1, [2], sep = '-')", `struct(error = no-1-[2], ok = False, value = None)`},
		{"attempt(get)", `struct(error = get: pods "x" not found, ok = False, value = None)`},
		{"attempt(lambda: get())", `struct(error = get: pods "x" not found, ok = False, value = None)`},
		{"attempt(attempt, get).value.error.code", `404`},
		{"attempt(parallel, lambda i: fail('no', i), [7, 8])", `struct(error = 2 of 2 items failed, the first at index 0: no 7, ok = False, value = None)`},
	} {
		v, err := call(t, e, "def f(): return "+test.expr)
		if err != nil {
			t.Errorf("%s: %v", test.expr, err)
		} else if v.String() != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.expr, v, test.want)
		}
	}
	want := `test.star:1:24: no-1-[2]
test.star:1:24: get: pods "x" not found
test.star:1:36: get: pods "x" not found
test.star:1:24: get: pods "x" not found
test.star:1:49: 2 of 2 items failed, the first at index 0: no 7`
	if got := strings.Join(caught, "\n"); got != want {
		t.Errorf("caught:\n%s\nwant:\n%s", got, want)
	}
}

func TestCaughtError(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: world()})
	for _, test := range []struct{ expr, want string }{
		{"type(attempt(get).error)", `"error"`},
		{"dir(attempt(get).error)", `["code", "message", "pos", "reason"]`},
		{"[getattr(attempt(get).error, a) for a in ('reason', 'code', 'message', 'pos')]", `["NotFound", 404, "get: pods \"x\" not found", "test.star:1:33"]`},
		{"[getattr(attempt(fail, 'no').error, a) for a in ('reason', 'code', 'message', 'pos')]", `["Fail", 0, "no", "test.star:1:33"]`},
		{"attempt(fail, attempt(get).error).error.reason", `"NotFound"`},
		{"attempt(fail, 'get it:', attempt(get).error).error.message", `"get it: get: pods \"x\" not found"`},
		{"attempt(fail, attempt(get).error, attempt(fail, 'no').error).error.reason", `"Fail"`},
		{"'%s!' % attempt(get).error", `"get: pods \"x\" not found!"`},
	} {
		v, err := call(t, e, "def f(): return "+test.expr)
		if err != nil {
			t.Errorf("%s: %v", test.expr, err)
		} else if v.String() != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.expr, v, test.want)
		}
	}
}

func TestAttemptDoesNotHide(t *testing.T) {
	e := engine.New(engine.Options{
		Predeclared: world(),
		Limits:      engine.Limits{Steps: 10_000},
		Caught:      func(_ context.Context, err error) { t.Errorf("caught %v", err) },
	})
	for _, test := range []struct{ body, want string }{
		{"attempt(broken)", "test.star:1:17: want 1 argument"},
		{"attempt(lambda: 1 // 0)", "test.star:1:28: floored division by zero"},
		{"attempt(lambda: {}['x'])", `test.star:1:28: key "x" not in dict`},
		{"attempt(lambda x: x)", "test.star:1:17: function lambda missing 1 argument (x)"},
		{"attempt(lambda: [0 for i in range(1 << 40)])", "test.star:1:29: stopped after 10,000 steps: an endless loop?"},
		{"attempt(attempt, lambda: [0 for i in range(1 << 40)])", "test.star:1:38: stopped after 10,000 steps: an endless loop?"},
		{"attempt(parallel, lambda x: [0 for i in range(1 << 40)], [1])", "test.star:1:41: 1 of 1 items failed, the first at index 0: stopped after 10,000 steps: an endless loop?"},
		{"attempt()", "test.star:1:17: attempt: missing argument for fn: write attempt(function, arguments…)"},
		{"attempt(1)", "test.star:1:17: attempt: for parameter fn: got int, want a function: write attempt(function, arguments…), which calls it"},
		{"fail(bad = 1)", "test.star:1:14: fail: unexpected keyword argument \"bad\""},
	} {
		_, err := call(t, e, "def f(): "+test.body)
		wantError(t, err, test.want)
	}
}

func TestFailErrorIsInTheChain(t *testing.T) {
	_, err := call(t, engine.New(engine.Options{}), "def f(): fail('a\\nb', 1)")
	x := wantError(t, err, `test.star:1:14: a\nb 1`)
	var f *engine.FailError
	if !errors.As(err, &f) || f.Msg != "a\nb 1" || x.Msg != f.Msg {
		t.Errorf("got %+v, %q", f, x.Msg)
	}
	if want := "Traceback (most recent call last):\n  test.star:1:14: in f\nError in fail: a\nb 1"; x.Backtrace() != want {
		t.Errorf("got backtrace %q, want %q", x.Backtrace(), want)
	}
}

func TestFailKeepsItsCauses(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: world()})
	_, err := call(t, e, "def f():\n    r = attempt(get)\n    fail('twice:', r.error, attempt(parallel, lambda i: get(), [1]).error)")
	wantError(t, err, `test.star:3:9: twice: get: pods "x" not found 1 of 1 items failed, the first at index 0: get: pods "x" not found`)
	var failure *engine.FailError
	if !errors.As(err, &failure) || len(failure.Causes) != 2 {
		t.Fatalf("got %v, want a failure with two causes", err)
	}
	for _, cause := range failure.Causes {
		if !errors.As(cause, &notFound{}) {
			t.Errorf("got cause %v, want what get answered in its chain", cause)
		}
	}
}
