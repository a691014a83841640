package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/ebb-chaos/ebb/engine"
	"go.starlark.net/starlark"
)

const hogs = `
PREFIX = "hog-"

def rollback(content):
    """Says which pods it would delete."""
    return [_name(n) for n in content.pods]

def _name(n):
    return PREFIX + n

content = struct(namespace = "test", pods = ["a", "b"])
`

func Example() {
	ctx := context.Background()
	e := engine.New(engine.Options{})
	m, err := e.Load(ctx, "hogs.star", []byte(hogs))
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := e.Call(ctx, m.Get("rollback"), m.Get("content"))
	fmt.Println(v, err)
	// Output: ["hog-a", "hog-b"] <nil>
}

func ExampleEngine_Extract() {
	ctx := context.Background()
	e := engine.New(engine.Options{})
	m, err := e.Load(ctx, "hogs.star", []byte(hogs))
	if err != nil {
		fmt.Println(err)
		return
	}
	src, err := e.Extract(m, "# Written before the change.", []engine.Export{
		{Name: "rollback_content", Value: m.Get("content"), Comment: "What to restore."},
		{Name: "rollback_callable", Value: m.Get("rollback")},
	})
	fmt.Print(string(src), err)
	// Output:
	// # Written before the change.
	//
	// # What to restore.
	// rollback_content = struct(
	//     namespace = "test",
	//     pods = ["a", "b"],
	// )
	//
	// PREFIX = "hog-"
	//
	// def _name(n):
	//     return PREFIX + n
	//
	// def rollback(content):
	//     """Says which pods it would delete."""
	//     return [_name(n) for n in content.pods]
	//
	// rollback_callable = rollback
	// <nil>
}

func ExampleError_Detail() {
	_, err := engine.New(engine.Options{}).Load(context.Background(), "a.star", []byte("def f():\n    raise \"no\"\n"))
	fmt.Println(err.(*engine.Error).Detail())
	// Output:
	// a.star:2:5: got raise, want primary expression
	//         raise "no"
	//         ^
	//   hint: Starlark has no exceptions: attempt(function, arguments…) returns struct(ok, value, error); fail("message") raises
}

func BenchmarkLoad(b *testing.B) {
	e := engine.New(engine.Options{})
	src := []byte(hogs)
	for i := range 4 {
		src = fmt.Appendf(src, "\ndef f%d(content):\n    x = []\n    for pod in content.pods:\n        outcome = attempt(_name, pod)\n        if not outcome.ok:\n            x.append(outcome)\n", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Load(context.Background(), "hogs.star", src); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExtract(b *testing.B) {
	e := engine.New(engine.Options{})
	m := load(b, e, hogs)
	exports := []engine.Export{{Name: "rollback_content", Value: m.Get("content")}, {Name: "rollback_callable", Value: m.Get("rollback")}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Extract(m, "# header", exports); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	e := engine.New(engine.Options{})
	f := load(b, e, "def f(x): return x").Get("f")
	for b.Loop() {
		if _, err := e.Call(context.Background(), f, starlark.None); err != nil {
			b.Fatal(err)
		}
	}
}
