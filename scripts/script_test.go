package scripts_test

import (
	"bytes"
	"cmp"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bazelbuild/buildtools/build"
	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/scripts"
)

// script is what the text of a scenario script says beyond its declaration.
type script struct {
	text  string // of the file's docstring
	run   *function
	steps []step
	keys  map[string]int // the line of each key that is declared
}

// step is a call of set_rollback_callable.
type step struct {
	callable, verify *function
	kinds            []string // of what it undoes
}

type function struct {
	*syntax.DefStmt
	unit *unit
}

// unit is a file: names mean something else in another.
type unit struct {
	name      string
	file      *syntax.File
	functions map[string]*function // its own and those that it loads
}

// docstring is what a function says of itself.
type docstring struct {
	text    string // before the arguments
	content string // of its first argument
}

func parse(t *testing.T, name string) *syntax.File {
	t.Helper()
	data, err := fs.ReadFile(scripts.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	file, err := (&syntax.FileOptions{Set: true}).Parse(name, data, syntax.RetainComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// parseUnit reads a file and those that it loads.
func parseUnit(t *testing.T, name string) *unit {
	t.Helper()
	u := &unit{name: name, file: parse(t, name), functions: map[string]*function{}}
	for _, stmt := range u.file.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			u.functions[stmt.Name.Name] = &function{stmt, u}
		case *syntax.LoadStmt:
			loaded := parseUnit(t, stmt.ModuleName())
			for i, from := range stmt.From {
				if f, ok := loaded.functions[from.Name]; ok {
					u.functions[stmt.To[i].Name] = f
				}
			}
		}
	}
	return u
}

func parseScript(t *testing.T, name string) *script {
	t.Helper()
	u := parseUnit(t, name)
	s := &script{text: dedent(literal(u.file.Stmts[0])), run: u.functions["run"], keys: map[string]int{}}
	if s.text == "" {
		t.Errorf("%s has no docstring", name)
	}
	syntax.Walk(u.file, func(n syntax.Node) bool {
		if entry, ok := n.(*syntax.DictEntry); ok {
			key, ok := entry.Key.(*syntax.Literal)
			if call, isCall := entry.Value.(*syntax.CallExpr); ok && isCall && called(call) == "field" && s.keys[key.Value.(string)] == 0 {
				s.keys[key.Value.(string)] = int(key.TokenPos.Line)
			}
		}
		return true
	})
	s.addSteps(t, s.run, map[*syntax.DefStmt]bool{})
	return s
}

// addSteps finds the steps of a function and of those that it mentions, in the order of the text.
func (s *script) addSteps(t *testing.T, f *function, seen map[*syntax.DefStmt]bool) {
	t.Helper()
	if seen[f.DefStmt] {
		return
	}
	seen[f.DefStmt] = true
	syntax.Walk(f.DefStmt, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			if called(n) == "set_rollback_callable" {
				s.steps = append(s.steps, step{
					callable: f.unit.function(t, argument(n, 0, "callable")),
					verify:   f.unit.function(t, argument(n, 2, "verify")),
					kinds:    kinds(argument(n, 3, "undoes")),
				})
				return false
			}
		case *syntax.Ident:
			if inner, ok := f.unit.functions[n.Name]; ok {
				s.addSteps(t, inner, seen)
			}
		}
		return true
	})
}

func (u *unit) function(t *testing.T, e syntax.Expr) *function {
	t.Helper()
	if name, ok := e.(*syntax.Ident); ok && u.functions[name.Name] != nil {
		return u.functions[name.Name]
	}
	t.Fatalf("%s: set_rollback_callable is given something else than a function of the file or of one that it loads", u.name)
	return nil
}

// kinds returns the kinds that the refs of an expression have, each once.
func kinds(e syntax.Expr) []string {
	if e == nil {
		return nil
	}
	var found []string
	syntax.Walk(e, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && called(call) == "ref" {
			if kind, ok := argument(call, 0, "kind").(*syntax.Literal); ok && !slices.Contains(found, kind.Value.(string)) {
				found = append(found, kind.Value.(string))
			}
		}
		return true
	})
	return found
}

// inOrder sorts keys as the script declares them.
func (s *script) inOrder(keys []string) []string {
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(s.keys[a], s.keys[b]), strings.Compare(a, b)) })
	return keys
}

// called returns the name of the function that is called, "" for a method.
func called(call *syntax.CallExpr) string {
	if name, ok := call.Fn.(*syntax.Ident); ok {
		return name.Name
	}
	return ""
}

// argument returns what is given as an argument, by position or by name, or nil.
func argument(call *syntax.CallExpr, at int, name string) syntax.Expr {
	for i, arg := range call.Args {
		named, ok := arg.(*syntax.BinaryExpr)
		switch {
		case ok && named.Op == syntax.EQ && named.X.(*syntax.Ident).Name == name:
			return named.Y
		case ok && named.Op == syntax.EQ:
		case i == at:
			return arg
		}
	}
	return nil
}

// literal returns the string that a statement consists of, or "".
func literal(stmt syntax.Stmt) string {
	if expr, ok := stmt.(*syntax.ExprStmt); ok {
		if lit, ok := expr.X.(*syntax.Literal); ok && lit.Token == syntax.STRING {
			return lit.Value.(string)
		}
	}
	return ""
}

// dedent takes the indentation of a docstring's lines away.
func dedent(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "\n")
}

var section = regexp.MustCompile(`\n *(Args|Returns):\n`)

func (f *function) doc(t *testing.T) docstring {
	t.Helper()
	text := literal(f.Body[0])
	if text == "" {
		t.Errorf("%s: %s has no docstring", f.unit.name, f.Name.Name)
	}
	var d docstring
	parts := section.Split(text, -1)
	d.text = dedent(parts[0])
	if len(parts) > 1 {
		// One argument only, so that what follows its name is all about it.
		if _, content, ok := strings.Cut(parts[1], ":"); ok {
			d.content = dedent(content)
		}
	}
	return d
}

// files returns all files of the package.
func files(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.star", "lib/*.star"} {
		found, err := fs.Glob(scripts.FS, pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	return names
}

// TestFormat holds the scripts to the form that version files are written in.
func TestFormat(t *testing.T) {
	for _, name := range files(t) {
		data, err := fs.ReadFile(scripts.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := build.ParseDefault(name, data)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if want := build.Format(parsed); !bytes.Equal(data, want) {
			t.Errorf("%s: buildifier would change line %d", name, firstDifference(data, want))
		}
	}
}

// TestDocstrings holds each function of the scripts to a docstring that says what all of its
// arguments are.
func TestDocstrings(t *testing.T) {
	for _, name := range files(t) {
		for _, stmt := range parse(t, name).Stmts {
			def, ok := stmt.(*syntax.DefStmt)
			if !ok {
				continue
			}
			text := literal(def.Body[0])
			if text == "" {
				t.Errorf("%s: %s has no docstring", name, def.Name.Name)
				continue
			}
			for _, param := range def.Params {
				if !strings.Contains(text, "\n        "+paramName(param)+": ") {
					t.Errorf("%s: the docstring of %s does not say what %s is", name, def.Name.Name, paramName(param))
				}
			}
		}
	}
}

// paramName returns a parameter as docstrings name it: name, *args, **kwargs.
func paramName(e syntax.Expr) string {
	switch e := e.(type) {
	case *syntax.Ident:
		return e.Name
	case *syntax.BinaryExpr:
		return paramName(e.X)
	case *syntax.UnaryExpr:
		return e.Op.String() + paramName(e.X)
	}
	return "?"
}

// TestTexts holds the scripts to values as they are written. Label values are such: true, 1.10 and
// 007 must not become other texts on the way. So each list and map declares what is in it, and
// str() is not used: it would hide that a value of the scenario file was read as a number or a
// bool.
func TestTexts(t *testing.T) {
	for _, name := range files(t) {
		syntax.Walk(parse(t, name), func(n syntax.Node) bool {
			call, ok := n.(*syntax.CallExpr)
			if !ok {
				return true
			}
			pos, _ := call.Span()
			switch called(call) {
			case "str":
				t.Errorf("%s: str() rewrites what was written: use it as it is, or %%d for numbers", pos)
			case "field":
				types := kindsOf(argument(call, 0, "type"))
				if slices.Contains(types, "list") && argument(call, -1, "items") == nil {
					t.Errorf("%s: a list that does not declare its items", pos)
				}
				if slices.Contains(types, "map") && argument(call, -1, "values") == nil && argument(call, -1, "fields") == nil {
					t.Errorf("%s: a map that declares neither its values nor its keys", pos)
				}
			}
			return true
		})
	}
}

// kindsOf returns the types that a field is declared with.
func kindsOf(e syntax.Expr) []string {
	var types []string
	if e != nil {
		syntax.Walk(e, func(n syntax.Node) bool {
			if lit, ok := n.(*syntax.Literal); ok && lit.Token == syntax.STRING {
				types = append(types, lit.Value.(string))
			}
			return true
		})
	}
	return types
}
