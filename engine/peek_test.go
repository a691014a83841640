package engine_test

import (
	"testing"

	"github.com/ebb-chaos/ebb/engine"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

func TestPeek(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{
		"Head": starlark.NewBuiltin("Head", starlarkstruct.Make),
		"boom": starlark.NewBuiltin("boom", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
			t.Error("peek called another builtin")
			return starlark.None, nil
		}),
	}})
	for _, test := range []struct{ src, want string }{
		{"head = Head(a = 1)\n", `struct(a = 1)`},
		{"#!/bin/x\n# c\n\nhead = Head(a = 1, b = [Head(c = \"x\"), None])\ndef", `struct(a = 1, b = [struct(c = "x"), None])`},
		{"head = Head(\n    a = 1,\n    b = [\n        2,\n    ],\n)\nboom()\n", `struct(a = 1, b = [2])`},
		{"head = Head(a = \")\\n\",\n    b = 1,\n)\n", `struct(a = ")\n", b = 1)`},
		{"head = Head(a = 1)", `struct(a = 1)`},
		{"x = 1\nhead = Head(a = 1)\n", ""},        // not the first statement
		{"\"\"\"\nhead = Head(a = 1)\n\"\"\"", ""}, // in a string
		{"head = Head(a = boom())\n", ""},
		{"head = Head(a = [x for x in [1]])\n", ""},
		{"head = Head(a = NAME)\n", ""},
		{"head = Head(a = 1 + 1)\n", ""},
		{"head = Head(*[1])\n", ""},
		{"head = Head(a = 1) or Head(a = 2)\n", ""},
		{"head = Head(a = 1, a = 2)\n", ""},
		{"head = Head(a = 1)\n)\n", `struct(a = 1)`},
		{"head = Head(\n  a = 1", ""},
		{"head = Head(a = 1", ""},
		{"head = other\n", ""},
		{"# only a comment", ""},
		{"", ""},
	} {
		v, ok := e.Peek([]byte(test.src), "head", "Head")
		got := ""
		if ok {
			got = v.String()
		}
		if got != test.want {
			t.Errorf("%q: got %s, want %s", test.src, got, test.want)
		}
	}
}

func BenchmarkPeek(b *testing.B) {
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{"Head": starlark.NewBuiltin("Head", starlarkstruct.Make)}})
	src := []byte("# written\nhead = Head(\n    format = 1,\n    run = \"168dce4c\",\n    undoes = [Head(kind = \"Pod\", name = \"hog\")],\n)\n")
	for b.Loop() {
		if _, ok := e.Peek(src, "head", "Head"); !ok {
			b.Fatal("not read")
		}
	}
}
