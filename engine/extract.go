package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// An Export is a variable of the file that Extract writes: a value, or a top-level function of a
// script.
type Export struct {
	Name    string
	Value   starlark.Value
	Comment string // printed above it
}

// Extract writes functions of a script, and everything that they use, into a file that loads no
// other file. It returns the source of that file. First comes the header, which is comment lines,
// then the exported values as literals, then the exported functions. Then follows what these use of
// from and of the files that it loads: constants as literals of their present values, and helper
// functions as they are written, with their comments. Each export is a variable of the file, and
// behaves as the original does.
//
// The file refers to builtins by name, so it must be loaded with the same builtins. Extract refuses
// what has no literal, with an *Error at its position: closures, lambdas, values that hold
// functions, infinite numbers, strings that are not UTF-8, and two different things of one name. A
// top-level function can be exported, whatever it does inside.
//
// If a value has a method Literal() string, the result is its literal. The literal of a struct is a
// call of its constructor, if that is predeclared and has a method Name() string. If it also has a
// method FieldOrder() []string, those fields come first.
func (e *Engine) Extract(from *Module, header string, exports []Export) (src []byte, err error) {
	defer func() {
		// Literal and FieldOrder are code of the host, which may panic.
		if p := recover(); p != nil {
			src, err = nil, &Error{Msg: fmt.Sprintf("internal error while extracting from %s: %v", from.name, p)}
		}
		var x *Error
		if errors.As(err, &x) {
			e.excerpt(x)
		}
	}()
	c := &extractor{
		engine:   e,
		literals: &printer{engine: e, names: map[string]bool{}},
		taken:    map[string]taken{},
		builtins: map[string]syntax.Position{},
		needed:   map[*syntax.DefStmt]*function{},
	}
	c.collect(from, map[*Module]bool{})
	for _, export := range exports {
		if err := c.export(export); err != nil {
			return nil, err
		}
	}
	if err := c.checkBuiltins(); err != nil {
		return nil, err
	}
	return c.assemble(header)
}

// An extractor collects the parts of one file.
type extractor struct {
	engine   *Engine
	modules  []*Module // of from: the modules that it loads, and then itself
	literals *printer

	data      []string // the statements of the exported values
	constants []string // the statements of the values that functions need
	functions []*function
	aliases   []string // the exported names of functions that have another

	taken    map[string]taken
	builtins map[string]syntax.Position // that functions use, each with one position of its use
	needed   map[*syntax.DefStmt]*function
}

// taken says what a name of the file refers to.
type taken struct {
	what string // identifies it
	pos  string
}

func (c *extractor) collect(m *Module, seen map[*Module]bool) {
	if seen[m] {
		return
	}
	seen[m] = true
	for _, stmt := range m.file.Stmts {
		if load, ok := stmt.(*syntax.LoadStmt); ok {
			c.collect(m.loads[load.To[0]].module, seen)
		}
	}
	c.modules = append(c.modules, m)
}

// take reserves a name. again is true if the same thing has the name already.
func (c *extractor) take(name, what, pos string) (again bool, err error) {
	switch had, ok := c.taken[name]; {
	case !ok:
		c.taken[name] = taken{what, pos}
		return false, nil
	case had.what == what:
		return true, nil
	default:
		return false, &Error{
			Msg:    fmt.Sprintf("%q would have two meanings in the extracted file: that of %s and that of %s", name, had.pos, pos),
			Advice: []string{"rename one of them"},
		}
	}
}

func (c *extractor) export(x Export) error {
	if !isIdentifier(x.Name) {
		return &Error{Msg: fmt.Sprintf("export %q: want an identifier", x.Name)}
	}
	const pos = "the exports"
	fn, ok := x.Value.(*starlark.Function)
	if !ok {
		if x.Value == nil {
			return &Error{Msg: fmt.Sprintf("export %q: no value", x.Name)}
		}
		l, err := c.literals.literal(x.Name, x.Value, 0)
		if err != nil {
			return &Error{Msg: err.Error(), cause: err}
		}
		if again, err := c.take(x.Name, "export "+x.Name, pos); err != nil || again {
			return cmp.Or(err, error(&Error{Msg: fmt.Sprintf("export %q: exported twice", x.Name)}))
		}
		c.data = append(c.data, comment(x.Comment)+l.assignment(x.Name))
		return nil
	}
	f, err := c.function(fn, fn.Position())
	if err != nil {
		return err
	}
	if f.exported == 0 {
		f.exported = len(c.needed)
		f.comment = comment(x.Comment)
	}
	if name := f.def.Name.Name; x.Name != name {
		if again, err := c.take(x.Name, "export "+x.Name, pos); err != nil || again {
			return cmp.Or(err, error(&Error{Msg: fmt.Sprintf("export %q: exported twice", x.Name)}))
		}
		c.aliases = append(c.aliases, fmt.Sprintf("%s = %s\n", x.Name, name))
	}
	return nil
}

// find returns the top-level definition of fn, or nil if it has none.
func (c *extractor) find(fn *starlark.Function) *function {
	for i, m := range c.modules {
		if m.name != fn.Position().Filename() {
			continue
		}
		for _, stmt := range m.file.Stmts {
			// Positions alone would confuse two modules loaded under one name.
			if def, ok := stmt.(*syntax.DefStmt); ok && m.globals[def.Name.Name] == starlark.Value(fn) {
				return &function{module: m, order: i, def: def}
			}
		}
	}
	return nil
}

// name adds what an identifier in a function of m refers to. If it refers to a function, name
// returns that.
func (c *extractor) name(m *Module, id *syntax.Ident) (*function, error) {
	binding, ok := id.Binding.(*resolve.Binding)
	if !ok {
		return nil, nil // a keyword argument's or an attribute's
	}
	switch binding.Scope {
	case resolve.Predeclared, resolve.Universal:
		c.builtins[id.Name] = id.NamePos
		return nil, nil
	case resolve.Global:
		return c.variable(m, id.Name, id)
	}
	// A loaded name is local to its file, and free in the file's functions.
	if loaded, ok := m.loads[binding.First]; ok {
		return c.variable(loaded.module, loaded.name, id)
	}
	return nil, nil
}

// variable adds a top-level variable of m, under the name that a function uses for it.
func (c *extractor) variable(m *Module, name string, id *syntax.Ident) (*function, error) {
	value := m.globals[name]
	if value == nil {
		return nil, &Error{Pos: id.NamePos, Msg: fmt.Sprintf("%q has no value yet", id.Name)}
	}
	if fn, ok := value.(*starlark.Function); ok {
		f, err := c.function(fn, id.NamePos)
		if err != nil || f.def.Name.Name == id.Name {
			return f, err
		}
		again, err := c.take(id.Name, "alias of "+f.def.Def.String(), id.NamePos.String())
		if err == nil && !again {
			f.aliases = append(f.aliases, fmt.Sprintf("%s = %s\n", id.Name, f.def.Name.Name))
		}
		return f, err
	}
	pos := m.defined(name)
	// The same variable under the same name has been added already.
	what := "variable of " + pos.String()
	if c.taken[id.Name].what == what {
		return nil, nil
	}
	// Before the name is reserved: a value without a literal is the more useful error.
	l, err := c.literals.literal(name, value, 0)
	if err != nil {
		return nil, &Error{
			Pos: pos, Msg: fmt.Sprintf("%v; needed at %s", err, id.NamePos), cause: err,
			Advice: []string{"pass what the function needs as an argument, or compute it inside"},
		}
	}
	if _, err := c.take(id.Name, what, pos.String()); err != nil {
		return nil, err
	}
	c.constants = append(c.constants, m.commentAbove(pos)+l.assignment(id.Name))
	return nil, nil
}

// checkBuiltins refuses a file in which a variable would hide a builtin that a function or a value
// uses.
func (c *extractor) checkBuiltins() error {
	for _, name := range slices.Sorted(maps.Keys(c.taken)) {
		pos, used := c.builtins[name]
		if !used && !c.literals.names[name] {
			continue
		}
		x := &Error{
			Pos:    pos,
			Msg:    fmt.Sprintf("%q is the builtin here, and the variable of %s elsewhere in the extracted file", name, c.taken[name].pos),
			Advice: []string{"rename the variable"},
		}
		if !used {
			x.Msg = fmt.Sprintf("the variable %q of %s hides the builtin that constructs a value", name, c.taken[name].pos)
		}
		return x
	}
	return nil
}

// assemble writes the file and proves that it can be loaded.
func (c *extractor) assemble(header string) ([]byte, error) {
	header = strings.TrimRight(header, "\n")
	for line := range strings.SplitSeq(header, "\n") {
		if header != "" && !strings.HasPrefix(line, "#") {
			return nil, &Error{Msg: fmt.Sprintf("header: got line %q, want comments only", line)}
		}
	}
	// Helpers in the order of the scripts, then the exported functions in the order of the exports.
	slices.SortStableFunc(c.functions, func(a, b *function) int {
		return cmp.Or(
			cmp.Compare(a.exported, b.exported),
			cmp.Compare(a.order, b.order),
			cmp.Compare(a.def.Def.Line, b.def.Def.Line),
		)
	})
	parts := slices.Concat(c.data, c.constants)
	for _, f := range c.functions {
		parts = f.write(parts)
	}
	if len(c.aliases) > 0 {
		parts = append(parts, strings.Join(c.aliases, ""))
	}
	if header != "" {
		header += "\n\n"
	}
	// Each is formatted by itself: if the formatter can't read one, the others are still formatted.
	for i, part := range parts {
		parts[i] = string(format([]byte(part)))
	}
	src := []byte(header + strings.Join(parts, "\n"))

	// A file that can't be loaded must never be used as an undo.
	name := "extracted file"
	if err := checkSource(name, src, c.engine.limits.SourceBytes); err != nil {
		return nil, &Error{Msg: err.Error(), cause: err}
	}
	file, err := dialect.Parse(name, src, 0)
	if err == nil {
		_, err = starlark.FileProgram(file, c.engine.predeclared.Has)
	}
	if err != nil {
		return nil, &Error{Msg: fmt.Sprintf("internal error: the extracted file can't be loaded: %v", err), cause: err}
	}
	return src, nil
}
