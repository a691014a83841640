package engine_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ebb-chaos/ebb/engine"
	"go.starlark.net/starlark"
)

func TestModule(t *testing.T) {
	m := load(t, engine.New(engine.Options{}), "x = [1]\ndef f(): pass")
	if m.Name() != "test.star" || len(m.Globals()) != 2 || m.Get("x").String() != "[1]" {
		t.Errorf("got %q, %v", m.Name(), m.Globals())
	}
	if m.Get("y") != nil {
		t.Errorf("got %v for a variable that is not there", m.Get("y"))
	}
	if err := m.Get("x").(*starlark.List).Append(starlark.None); err == nil {
		t.Error("a loaded module's list can be changed")
	}
}

func TestLoadRefusesWhatIsNoText(t *testing.T) {
	e := engine.New(engine.Options{Limits: engine.Limits{SourceBytes: 2048}})
	for _, test := range []struct{ src, want string }{
		{"", "x.star:1:1: the file is empty"},
		{" \n\t\n", "x.star:1:1: the file is empty"},
		{strings.Repeat("\x00", 100), "x.star:1:1: a NUL byte: this is not a text file, or it is damaged"},
		{"x = 1\ny = \"a\x00\"", "x.star:2:7: a NUL byte: this is not a text file, or it is damaged"},
		{"x = 'ä\xff'", "x.star:1:7: byte 0xff is not UTF-8"},
		{"\xff\xfex\x00=\x001\x00", "x.star:1:4: a NUL byte: this is not a text file, or it is damaged"},
		{"\ufeffx = 1", "x.star:1:1: the file starts with a byte order mark"},
		{"#" + strings.Repeat("x", 4095), "x.star:1:1: too large: 4 KiB, at most 2 KiB"},
		{"#" + strings.Repeat("x", 2<<20-1), "x.star:1:1: too large: 2 MiB, at most 2 KiB"},
		{"x = 1\x1b[2J", "x.star:1:6: unexpected input character '\\x1b'"},
	} {
		_, err := e.Load(context.Background(), "x.star", []byte(test.src))
		x := wantError(t, err, test.want)
		if strings.ContainsAny(x.Detail(), "\x1b\x00") {
			t.Errorf("%q: control characters reach the terminal: %q", test.src, x.Detail())
		}
	}
}

// None of these may end the process with a stack overflow. Those that are long rather than deep may
// load.
func TestLoadSurvivesNesting(t *testing.T) {
	e := engine.New(engine.Options{})
	repeat := func(s string) string { return strings.Repeat(s, (1<<20-100)/len(s)) }
	indented := new(strings.Builder)
	for i := range 1400 {
		indented.WriteString(strings.Repeat(" ", i) + "def f():\n")
	}
	for name, src := range map[string]string{
		"round":       "x = " + repeat("("),
		"square":      "x = " + repeat("["),
		"curly":       "x = " + repeat("{"),
		"minus":       "x = " + repeat("-") + "1",
		"not":         "x = " + repeat("not ") + "1",
		"lambda":      "x = " + repeat("lambda: ") + "1",
		"conditional": "x = " + repeat("1 if 1 else ") + "1",
		"def":         indented.String(),
		"call":        "x = f" + repeat("("),
		"index":       "x = f" + repeat("["),
	} {
		_, err := e.Load(context.Background(), "x.star", []byte(src))
		if err == nil || !strings.Contains(err.Error(), "excessive nesting") {
			t.Errorf("%s: got %.200v, want excessive nesting", name, err)
		}
	}
	// A few checks of the parser are quadratic; these need only be deeper than any stack of its
	// could be by chance.
	repeat = func(s string) string { return strings.Repeat(s, (1<<16)/len(s)) }
	for name, src := range map[string]string{
		"sum":     "x = 1" + repeat("+1"),
		"and":     "x = 1" + repeat(" and 1"),
		"dots":    "def f(): return x" + repeat(".x"),
		"calls":   "def f(): return f" + repeat("()"),
		"indexes": "def f(): return f" + repeat("[0]"),
		"elif":    "def f(x):\n if x: pass\n" + repeat(" elif x: pass\n"),
		"for":     "x = [1 " + repeat("for _ in [] ") + "]",
		"strings": "x = 'a'" + repeat("+'a'"),
		"string":  "x = '" + repeat("a"),
		"number":  "x = " + repeat("9"),
		"params":  "def f(" + repeat("a,") + "): pass",
		"keys":    "x = {" + repeat("1:1,") + "}",
		"semi":    repeat("x;"),
	} {
		_, err := e.Load(context.Background(), "x.star", []byte(src))
		if err != nil && len(err.Error()) > 1<<12 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
		for _, d := range e.Check("x.star", []byte(src), engine.Contract{}) {
			if len(d.Detail()) > 1<<20 {
				t.Errorf("%s: a diagnostic of %d bytes", name, len(d.Detail()))
			}
		}
	}
}

// However much there is to say about a file, it is said in good time.
func TestCheckFindsNoMoreThanAPersonReads(t *testing.T) {
	e := engine.New(engine.Options{})
	if found := e.Check("x.star", []byte("x=1\n"+strings.Repeat("x;", (1<<20-100)/2)), engine.Contract{}); len(found) != 100 {
		t.Errorf("got %d warnings, want 100", len(found))
	}
}

// What grows to one side is no nesting to the parser, and takes the compiler minutes that no
// deadline ends. The sources are as long as a file may be.
func TestLoadRefusesLongChains(t *testing.T) {
	e := engine.New(engine.Options{})
	repeat := func(s string) string { return strings.Repeat(s, (1<<20-100)/len(s)) }
	for name, test := range map[string]struct{ src, want string }{
		"elif":     {"def f(x):\n if x: pass\n" + repeat(" elif x: pass\n"), "nested more than 4000 deep"},
		"if":       {"x = [1 for _ in [1] " + repeat("if 1 ") + "]", "clauses in a comprehension, at most 100"},
		"for":      {"x = [1 " + repeat("for _ in [] ") + "]", "clauses in a comprehension, at most 100"},
		"sum":      {"x = 1" + repeat("+1"), "nested more than 4000 deep"},
		"call":     {"def f(): return f" + repeat("()"), "nested more than 4000 deep"},
		"in a def": {"def f():\n return {x: 1 for x in [] " + repeat("if x ") + "}", "clauses in a comprehension, at most 100"},
	} {
		_, err := e.Load(context.Background(), "x.star", []byte(test.src))
		var x *engine.Error
		if !errors.As(err, &x) || !strings.Contains(x.Error(), test.want) || len(x.Detail()) > 1<<12 {
			t.Errorf("%s: got %.200v, want %s", name, err, test.want)
		}
		found := e.Check("x.star", []byte(test.src), engine.Contract{})
		if len(found) != 1 || found[0].Warning || !strings.Contains(found[0].Error.Error(), test.want) {
			t.Errorf("%s: Check found %d things, want %q alone", name, len(found), test.want)
		}
	}
	// What people write is far below.
	mustLoad := "x = 1" + strings.Repeat("+1", 1000) + "\ny = [1 for _ in [1] " + strings.Repeat("if 1 ", 90) + "]\n"
	if _, err := e.Load(context.Background(), "x.star", []byte(mustLoad)); err != nil {
		t.Error(err)
	}
}

func TestLoadScript(t *testing.T) {
	runs := 0
	e := engine.New(engine.Options{Print: func(context.Context, string) { runs++ }})
	m, err := e.LoadScript(context.Background(), fstest.MapFS{
		"main.star":     {Data: []byte("load('lib/a.star', 'a')\nload('lib/b.star', 'b')\ndef f(): return a() + b()")},
		"lib/a.star":    {Data: []byte("load('lib/base.star', 'x')\ndef a(): return x")},
		"lib/b.star":    {Data: []byte("load('lib/base.star', 'x')\ndef b(): return x")},
		"lib/base.star": {Data: []byte("print('once')\nx = 21")},
	}, "main.star")
	if err != nil {
		t.Fatal(detail(err))
	}
	v, err := e.Call(context.Background(), m.Get("f"))
	if err != nil || v.String() != "42" || runs != 1 {
		t.Errorf("got %v, %v; base.star ran %d times", v, err, runs)
	}
}

func TestLoadScriptErrors(t *testing.T) {
	e := engine.New(engine.Options{Limits: engine.Limits{SourceBytes: 200, Steps: 1000}})
	files := fstest.MapFS{
		"big.star":       {Data: []byte(strings.Repeat("#", 300))},
		"a.star":         {Data: []byte("load('b.star', 'b')")},
		"b.star":         {Data: []byte("\nload('c/c.star', 'b')")},
		"c/c.star":       {Data: []byte("load('a.star', 'b')")},
		"self.star":      {Data: []byte("load('self.star', 'b')")},
		"broken.star":    {Data: []byte("x = 1\ny = undefined_thing\n")},
		"endless.star":   {Data: []byte("x = [i for i in range(1 << 40)]")},
		"bad.star":       {Data: []byte("x = 1 // 0")},
		"dir/.keep":      {Data: []byte("x")},
		"helpers.star":   {Data: []byte("def help(): pass")},
		"indirect1.star": {Data: []byte("load('indirect2.star', 'x')")},
		"indirect2.star": {Data: []byte("load('broken.star', 'x')")},
	}
	for _, test := range []struct{ load, want, hint string }{
		{"load('../x.star', 'x')", `main.star:1:1: cannot load ../x.star: cannot load "../x.star": want a path below the scripts' directory`, `without ".."`},
		{"load('/etc/passwd', 'x')", `main.star:1:1: cannot load /etc/passwd: cannot load "/etc/passwd": want a path below the scripts' directory`, "relative"},
		{"load('dir/../a.star', 'x')", `main.star:1:1: cannot load dir/../a.star: cannot load "dir/../a.star": want a path below the scripts' directory`, "relative"},
		{"load('//lib:a.star', 'x')", `main.star:1:1: cannot load //lib:a.star: cannot load "//lib:a.star": want a path below the scripts' directory`, "relative"},
		{"load('.', 'x')", `main.star:1:1: cannot load .: cannot load ".": want a path below the scripts' directory`, "relative"},
		{"load('helper.star', 'x')", `main.star:1:1: cannot load helper.star: cannot load "helper.star": file does not exist`, `did you mean "helpers.star"?`},
		{"load('no/x.star', 'x')", `main.star:1:1: cannot load no/x.star: cannot load "no/x.star": file does not exist`, `no readable directory "no"`},
		{"load('dir', 'x')", `main.star:1:1: cannot load dir: cannot load "dir": not a regular file`, ""},
		{"load('helpers.star', 'helpp')", `main.star:1:1: load: name helpp not found in module helpers.star`, "did you mean help?"},
		{"load('big.star', 'x')", `big.star:1:1: too large: 201 bytes, at most 200 bytes`, ""},
		{"load('a.star', 'b')", `c/c.star:1:1: cannot load a.star: these files load each other: a.star -> b.star -> c/c.star -> a.star`, ""},
		{"load('self.star', 'b')", `self.star:1:1: cannot load self.star: these files load each other: self.star -> self.star`, ""},
		{"load('indirect1.star', 'x')", `broken.star:2:5: undefined: undefined_thing`, ""},
		{"load('endless.star', 'x')", `endless.star:1:8: stopped after 1,000 steps: an endless loop?`, ""},
		{"load('bad.star', 'x')", `bad.star:1:7: floored division by zero`, ""},
	} {
		files["main.star"] = &fstest.MapFile{Data: []byte(test.load)}
		_, err := e.LoadScript(context.Background(), files, "main.star")
		x := wantError(t, err, test.want)
		if got := strings.Join(x.Advice, "\n"); !strings.Contains(got, test.hint) {
			t.Errorf("%s: got hints %q, want %q", test.load, got, test.hint)
		}
	}
	_, err := e.LoadScript(context.Background(), files, "nothing.star")
	wantError(t, err, `cannot load "nothing.star": file does not exist`)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func TestLoadScriptFollowsNoLinkOutOfARoot(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.star")
	if err := os.WriteFile(outside, []byte("x = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link.star")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := engine.New(engine.Options{}).LoadScript(context.Background(), root.FS(), "link.star"); err == nil {
		t.Error("a link out of the directory was followed")
	}
}
