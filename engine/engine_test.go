package engine_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/engine"
	"go.starlark.net/starlark"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// notFound is what a host's builtin returns for an answer of the world.
type notFound struct{}

func (notFound) Error() string        { return "pods \"x\" not found" }
func (notFound) Catch() (string, int) { return "NotFound", 404 }
func builtin(name string, do func(ctx context.Context) error) *starlark.Builtin {
	return starlark.NewBuiltin(name, func(t *starlark.Thread, _ *starlark.Builtin, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
		return starlark.None, do(engine.Context(t))
	})
}

func load(t testing.TB, e *engine.Engine, src string) *engine.Module {
	t.Helper()
	m, err := e.Load(context.Background(), "test.star", []byte(src))
	if err != nil {
		t.Fatal(detail(err))
	}
	return m
}

func detail(err error) string {
	var x *engine.Error
	if errors.As(err, &x) {
		return x.Detail()
	}
	return err.Error()
}

// call loads src and calls its function f.
func call(t testing.TB, e *engine.Engine, src string, args ...starlark.Value) (starlark.Value, error) {
	t.Helper()
	return e.Call(context.Background(), load(t, e, src).Get("f"), args...)
}

// wantError fails unless err is an *Error that prints as want.
func wantError(t testing.TB, err error, want string) *engine.Error {
	t.Helper()
	x, ok := err.(*engine.Error)
	if !ok {
		t.Fatalf("got error %v of type %T, want an *engine.Error", err, err)
	}
	if x.Error() != want {
		t.Fatalf("got error  %s\nwant       %s", x, want)
	}
	return x
}

func TestCall(t *testing.T) {
	e := engine.New(engine.Options{})
	v, err := call(t, e, "def f(a, b): return a + b", starlark.String("x"), starlark.String("y"))
	if err != nil || v != starlark.String("xy") {
		t.Fatalf("got %v, %v", v, err)
	}
	_, err = e.Call(context.Background(), starlark.MakeInt(1))
	wantError(t, err, "invalid call of non-function (int)")
	_, err = call(t, e, "def f(a): pass")
	wantError(t, err, "test.star:1:1: function f missing 1 argument (a)")
}

func TestStepLimit(t *testing.T) {
	e := engine.New(engine.Options{Limits: engine.Limits{Steps: 10_000}})
	_, err := call(t, e, "def f():\n    for i in range(1 << 40):\n        pass\n")
	wantError(t, err, "test.star:2:5: stopped after 10,000 steps: an endless loop?")
	if !errors.Is(err, engine.ErrSteps) {
		t.Errorf("%v is not ErrSteps", err)
	}
	_, err = e.Load(context.Background(), "top.star", []byte("x = [i for i in range(1 << 40)]"))
	wantError(t, err, "top.star:1:8: stopped after 10,000 steps: an endless loop?")
	if _, err = call(t, e, "def f(): return 1"); err != nil {
		t.Errorf("the limit of one call stopped the next: %v", err)
	}
}

func TestDeadline(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{
		"wait": builtin("wait", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
		"hang": builtin("hang", func(ctx context.Context) error { <-ctx.Done(); return errors.New("gone away") }),
	}})
	for _, body := range []string{"wait()", "attempt(wait)", "attempt(hang)", "attempt(attempt, wait)", "parallel(lambda x: wait(), [1, 2, 3])"} {
		m := load(t, e, "def f():\n    "+body+"\n    fail('went on')\n")
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		_, err := e.Call(ctx, m.Get("f"))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) && body != "attempt(hang)" {
			t.Errorf("%s: got %v, want the deadline", body, err)
		}
		if err == nil || strings.Contains(err.Error(), "went on") {
			t.Errorf("%s: got %v: the script went on after its time was up", body, err)
		}
	}
}

func TestCancelStopsALoop(t *testing.T) {
	running := make(chan bool)
	e := engine.New(engine.Options{
		Predeclared: starlark.StringDict{"running": builtin("running", func(context.Context) error { close(running); return nil })},
		Limits:      engine.Limits{Steps: 1 << 60},
	})
	m := load(t, e, "def f():\n    running()\n    for i in range(1 << 60):\n        pass\n")
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-running; cancel() }()
	_, err := e.Call(ctx, m.Get("f"))
	// No position: f may be at its first line still.
	if err == nil || !strings.HasSuffix(err.Error(), ": interrupted") || !strings.HasPrefix(err.Error(), "test.star:") {
		t.Errorf("got %v, want a position in test.star, and interrupted", err)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not context.Canceled", err)
	}
}

// collectAllTheTime collects memory until the test's end.
func collectAllTheTime(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var collector sync.WaitGroup
	collector.Go(func() {
		for ctx.Err() == nil {
			runtime.GC()
		}
	})
	t.Cleanup(func() {
		stop()
		collector.Wait()
	})
}

// wantExcerpt calls f, which inserts into a frozen dict in line 3, and fails unless the error has that
// line.
func wantExcerpt(t *testing.T, e *engine.Engine, f starlark.Value) {
	t.Helper()
	_, err := e.Call(context.Background(), f)
	if x := wantError(t, err, "test.star:3:6: cannot insert into frozen hash table"); !strings.Contains(x.Excerpt, "x['a'] = 1") {
		t.Fatalf("got excerpt %q, want the line", x.Excerpt)
	}
}

// The caller keeps no pointer to the module, and memory is collected all the time.
func TestErrorOfForgottenModuleHasExcerpt(t *testing.T) {
	collectAllTheTime(t)
	e := engine.New(engine.Options{})
	for range 1000 {
		wantExcerpt(t, e, load(t, e, "x = {}\ndef f():\n    x['a'] = 1\n").Get("f"))
	}
}

// The same file is loaded once more, and that module is forgotten, as when it is checked beside its run.
func TestErrorHasExcerptWhenANamesakeIsForgotten(t *testing.T) {
	e := engine.New(engine.Options{})
	const src = "x = {}\ndef f():\n    x['a'] = 1\n"
	f := load(t, e, src).Get("f")
	load(t, e, src)
	for range 3 { // its memory is collected, and then its cleanup runs
		runtime.GC()
		wantExcerpt(t, e, f)
	}
}

func TestDoneContextStartsNothing(t *testing.T) {
	e := engine.New(engine.Options{Print: func(_ context.Context, msg string) { t.Errorf("ran: %s", msg) }})
	m := load(t, e, "def f(): print('f')")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Call(ctx, m.Get("f")); !errors.Is(err, context.Canceled) {
		t.Errorf("Call: got %v, want context.Canceled", err)
	}
	if _, err := e.Load(ctx, "x.star", []byte("print('top')")); !errors.Is(err, context.Canceled) {
		t.Errorf("Load: got %v, want context.Canceled", err)
	}
}

func TestGoPanicIsAnError(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{
		"broken": builtin("broken", func(context.Context) error { panic("nil map") }),
	}})
	for _, body := range []string{"broken()", "attempt(broken)", "parallel(lambda x: broken(), [1])", "attempt(parallel, lambda x: broken(), [1])"} {
		_, err := call(t, e, "def f(): return "+body)
		if err == nil || !strings.Contains(err.Error(), "internal error: nil map") {
			t.Errorf("%s: got %v, want the panic", body, err)
			continue
		}
		if trace := err.(*engine.Error).Backtrace(); !strings.Contains(trace, "engine_test.go") {
			t.Errorf("%s: the trace does not show the Go code:\n%s", body, trace)
		}
	}
}

func TestHostSeesEveryThread(t *testing.T) {
	type key struct{}
	var mu sync.Mutex
	var printed []string
	bound := 0
	e := engine.New(engine.Options{
		Bind: func(ctx context.Context, th *starlark.Thread) {
			mu.Lock()
			defer mu.Unlock()
			bound++
			th.SetLocal("who", ctx.Value(key{}))
		},
		Print: func(ctx context.Context, msg string) {
			mu.Lock()
			defer mu.Unlock()
			printed = append(printed, ctx.Value(key{}).(string)+msg)
		},
		Predeclared: starlark.StringDict{
			"who": starlark.NewBuiltin("who", func(t *starlark.Thread, _ *starlark.Builtin, _ starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
				return starlark.String(t.Local("who").(string)), nil
			}),
		},
	})
	ctx := context.WithValue(context.Background(), key{}, "me")
	m, err := e.Load(ctx, "x.star", []byte("def item(i): print(i); return who()\ndef f(): return parallel(item, range(20))"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Call(ctx, m.Get("f"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := v.String(), "["+strings.Repeat(`"me", `, 19)+`"me"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if bound != 22 || len(printed) != 20 {
		t.Errorf("got %d threads bound and %d lines printed, want 22 and 20", bound, len(printed))
	}
}

func TestOwnBuiltinsCannotBeReplaced(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{"attempt": starlark.None}})
	v, err := call(t, e, "def f(): return attempt(fail, 'x').ok")
	if err != nil || v != starlark.False {
		t.Errorf("got %v, %v", v, err)
	}
}

func TestContextOfAForeignThread(t *testing.T) {
	if engine.Context(new(starlark.Thread)) != context.Background() {
		t.Error("want the background")
	}
	// The builtins of the engine must not crash there.
	m := load(t, engine.New(engine.Options{}), "def f(): return attempt(fail, 'x')\ndef g(): return parallel(len, [])")
	for _, name := range []string{"f", "g"} {
		if _, err := starlark.Call(new(starlark.Thread), m.Get(name), nil, nil); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}
