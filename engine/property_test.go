package engine_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/engine"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"pgregory.net/rapid"
)

// anyText draws strings that quoting gets wrong first.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.RuneFrom([]rune("\"'\\\n\r\t\x00\x1b\u2028\ufeff{}%#😀é\x7f"))),
		rapid.SampledFrom([]string{`"""`, `'''`, `\`, "\\\n", "#", "$(rm)", "{}", "%s", "\"\n\nimport os", strings.Repeat("long ", 40)}),
	)
}

// anyKey draws a hashable value.
func anyKey(depth int) *rapid.Generator[starlark.Value] {
	return rapid.Custom(func(t *rapid.T) starlark.Value {
		switch rapid.IntRange(0, 6+min(depth, 1)).Draw(t, "kind") {
		case 0:
			return starlark.None
		case 1:
			return starlark.Bool(rapid.Bool().Draw(t, "bool"))
		case 2:
			n := starlark.MakeInt64(rapid.Int64().Draw(t, "int"))
			if rapid.Bool().Draw(t, "big") {
				return n.Mul(n).Mul(n)
			}
			return n
		case 3:
			f := rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }).Draw(t, "float")
			return starlark.Float(f)
		case 4, 5:
			return starlark.String(anyText().Draw(t, "string"))
		case 6:
			return starlark.Bytes(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		default:
			return starlark.Tuple(rapid.SliceOfN(anyKey(depth-1), 0, 3).Draw(t, "tuple"))
		}
	})
}

func anyValue(depth int) *rapid.Generator[starlark.Value] {
	if depth == 0 {
		return anyKey(0)
	}
	return rapid.Custom(func(t *rapid.T) starlark.Value {
		some := rapid.SliceOfN(anyValue(depth-1), 0, 4).Draw(t, "values")
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return starlark.NewList(some)
		case 1:
			return starlark.Tuple(some)
		case 2:
			d := new(starlark.Dict)
			for _, v := range some {
				must(t, d.SetKey(anyKey(1).Draw(t, "key"), v))
			}
			return d
		case 3:
			s := new(starlark.Set)
			for range some {
				must(t, s.Insert(anyKey(1).Draw(t, "element")))
			}
			return s
		case 4:
			fields := starlark.StringDict{}
			name := rapid.OneOf(rapid.StringMatching(`[a-z_]{1,8}`), rapid.SampledFrom([]string{"class", "if", "a-b", ""}))
			for _, v := range some {
				fields[name.Draw(t, "field")] = v
			}
			return starlarkstruct.FromStringDict(starlarkstruct.Default, fields)
		default:
			return anyKey(2).Draw(t, "leaf")
		}
	})
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever a value holds, the extracted file gives the same one back.
func TestLiteralsRoundTrip(t *testing.T) {
	e := engine.New(engine.Options{})
	script := load(t, e, "x = 1")
	rapid.Check(t, func(t *rapid.T) {
		want := anyValue(4).Draw(t, "value")
		src, err := e.Extract(script, "# header", []engine.Export{{Name: "value", Value: want, Comment: "above"}})
		must(t, err)
		m, err := e.Load(context.Background(), "extracted", src)
		if err != nil {
			t.Fatalf("%s\n%s", detail(err), src)
		}
		got := m.Get("value")
		same, err := starlark.EqualDepth(got, want, 100)
		must(t, err)
		// Equal takes 1 for 1.0 and forgets a dict's order; the printed form does not.
		if !same || got.String() != want.String() {
			t.Fatalf("got %s, want %s, from\n%s", got, want, src)
		}
		again, err := e.Extract(m, "# header", []engine.Export{{Name: "value", Value: got, Comment: "above"}})
		must(t, err)
		if string(again) != string(src) {
			t.Fatalf("extracted again:\n%s\nat first:\n%s", again, src)
		}
	})
}

// A chain of functions and constants, whichever way they need each other, does the same after
// extracting.
func TestExtractedChainsBehaveTheSame(t *testing.T) {
	e := engine.New(engine.Options{})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "functions")
		b := new(strings.Builder)
		newline := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "newline")
		line := func(format string, args ...any) { fmt.Fprintf(b, format+newline, args...) }
		for i := range n {
			line("C%d = %s", i, starlark.String(anyText().Draw(t, "constant")))
			if rapid.Bool().Draw(t, "comment") {
				line("# About f%d.", i)
			}
			value := "x"
			if rapid.Bool().Draw(t, "default") {
				value = fmt.Sprintf("C%d", rapid.IntRange(0, i).Draw(t, "of"))
			}
			line("def f%d(x, y = %s):", i, map[bool]string{true: value, false: "None"}[value != "x"])
			line("%s\"\"\"Doc%s  of \\\"f%d\\\".\"\"\"", "    ", newline, i)
			call := "x"
			// Later functions are needed as well as earlier ones, but none by itself.
			if i+1 < n && rapid.Bool().Draw(t, "calls") {
				call = fmt.Sprintf("f%d(x)", rapid.IntRange(i+1, n-1).Draw(t, "callee"))
			}
			line("    if x: # odd")
			line("      return [%s, C%d,", call, rapid.IntRange(0, n-1).Draw(t, "uses"))
			line("   y]")
			line("    return None")
			if rapid.Bool().Draw(t, "trailing") {
				line("    # the end of f%d", i)
			}
			line("")
		}
		script, err := e.Load(context.Background(), "script", []byte(b.String()))
		if err != nil {
			t.Fatalf("%s\n%s", detail(err), b)
		}
		src, err := e.Extract(script, "", []engine.Export{{Name: "entry", Value: script.Get("f0")}})
		if err != nil {
			t.Fatalf("%s\n%s", detail(err), b)
		}
		extracted, err := e.Load(context.Background(), "extracted", src)
		if err != nil {
			t.Fatalf("%s\n%s", detail(err), src)
		}
		for _, arg := range []starlark.Value{starlark.MakeInt(1), starlark.None} {
			want, err := e.Call(context.Background(), script.Get("f0"), arg)
			must(t, err)
			got, err := e.Call(context.Background(), extracted.Get("entry"), arg)
			must(t, err)
			if got.String() != want.String() {
				t.Fatalf("got %s, want %s, from\n%s", got, want, src)
			}
		}
		if got, want := extracted.Get("f0").(*starlark.Function).Doc(), script.Get("f0").(*starlark.Function).Doc(); got != want {
			t.Fatalf("got docstring %q, want %q", got, want)
		}
		if found := e.Check("extracted", src, engine.Contract{Entries: []string{"entry"}}); len(found) > 0 && found[0].Msg != `"entry" is never used` {
			for _, d := range found {
				// What nothing uses must not have been carried over.
				if strings.Contains(d.Msg, "never used") {
					t.Fatalf("%s\n%s", d.Detail(), src)
				}
			}
		}
	})
}

func TestExtractLimits(t *testing.T) {
	e := engine.New(engine.Options{Limits: engine.Limits{LiteralNodes: 1000, SourceBytes: 4000}})
	script := load(t, e, "x = 1")
	shared := starlark.NewList([]starlark.Value{starlark.None})
	for range 30 {
		shared = starlark.NewList([]starlark.Value{shared, shared})
	}
	deep := starlark.NewList(nil)
	for range 100 {
		deep = starlark.NewList([]starlark.Value{deep})
	}
	cyclic := starlark.NewList(nil)
	if err := cyclic.Append(cyclic); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		value starlark.Value
		want  string
	}{
		"shared":  {shared, "more than 1000 values"},
		"deep":    {deep, "nested more than 64 deep"},
		"cyclic":  {cyclic, "does it contain itself?"},
		"long":    {starlark.String(strings.Repeat("x", 5000)), "too large: 4.89 KiB, at most 3.91 KiB"},
		"utf8":    {starlark.String("a\xff"), "v: a string that is not UTF-8 has no literal"},
		"nothing": {nil, `export "v": no value`},
		"panics":  {broken{starlark.None}, "internal error while extracting from test.star: broken"},
		"wrong":   {reference{starlark.None, "1"}, "the extracted file can't be loaded: extracted file:1:5: undefined: ref"},
		"syntax":  {reference{starlark.None, "("}, "is no expression"},
	} {
		_, err := e.Extract(script, "", []engine.Export{{Name: "v", Value: test.value}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	one := starlark.MakeInt(1)
	for want, exports := range map[string][]engine.Export{
		`export "v": exported twice`:         {{Name: "v", Value: one}, {Name: "v", Value: one}},
		`export "a-b": want an identifier`:   {{Name: "a-b", Value: one}},
		`export "class": want an identifier`: {{Name: "class", Value: one}},
	} {
		_, err := e.Extract(script, "", exports)
		wantError(t, err, want)
	}
	_, err := e.Extract(script, "# fine\nnot()", nil)
	wantError(t, err, `header: got line "not()", want comments only`)
}

// broken is a host's value with a defect.
type broken struct{ starlark.Value }

func (broken) Literal() string { panic("broken") }
