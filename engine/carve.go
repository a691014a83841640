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

// An Export is a variable of a carved file: a value, or a function that stands at the top level of
// a script.
type Export struct {
	Name    string
	Value   starlark.Value
	Comment string // printed above it
}

// Carve returns the source of a file that stands for itself: the header, which is comment lines,
// the exported values as literals, then the exported functions with whatever they need of from and
// of what it loads: constants as the values that they have now, helper functions as they are
// written, comments included. Loading the file gives variables of the exports' names that do what
// the originals do.
//
// Builtins stay names: the file must be loaded with the same ones. What can't be written down is
// refused with an *Error that points to it: closures, lambdas, values that hold functions, infinite
// numbers, strings that are not UTF-8, two different things of one name. Functions at the top level
// can be exported whatever they do inside.
//
// A value prints itself if it has a method Literal() string. A struct prints as a call of its
// constructor if that is predeclared and has a method Name() string; with a FieldOrder() []string
// too, those fields come first.
func (e *Engine) Carve(from *Module, header string, exports []Export) (src []byte, err error) {
	defer func() {
		// Literal and FieldOrder are the host's.
		if p := recover(); p != nil {
			src, err = nil, &Error{Msg: fmt.Sprintf("internal error while carving from %s: %v", from.name, p)}
		}
		var x *Error
		if errors.As(err, &x) {
			e.excerpt(x)
		}
	}()
	c := &carver{
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

// A carver collects what goes into one file.
type carver struct {
	engine   *Engine
	modules  []*Module // what from loads before from itself
	literals *printer

	data      []string // the statements of the exported values
	constants []string // the statements of the values that functions need
	functions []*function
	aliases   []string // the exported names of functions that have another

	taken    map[string]taken
	builtins map[string]syntax.Position // used by a function, with one place where
	needed   map[*syntax.DefStmt]*function
}

// taken says what a name of the file stands for.
type taken struct {
	what string // the same for the same thing
	pos  string
}

func (c *carver) collect(m *Module, seen map[*Module]bool) {
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

// take reserves a name. It reports whether the very same thing has it already.
func (c *carver) take(name, what, pos string) (again bool, err error) {
	switch had, ok := c.taken[name]; {
	case !ok:
		c.taken[name] = taken{what, pos}
		return false, nil
	case had.what == what:
		return true, nil
	default:
		return false, &Error{
			Msg:    fmt.Sprintf("%q would stand for two things in the carved file: those of %s and of %s", name, had.pos, pos),
			Advice: []string{"rename one of them"},
		}
	}
}

func (c *carver) export(x Export) error {
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
func (c *carver) find(fn *starlark.Function) *function {
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

// name adds what an identifier in a function of m stands for. If that is a function it is returned.
func (c *carver) name(m *Module, id *syntax.Ident) (*function, error) {
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

// variable adds a top-level variable of m under the name that a function knows it by.
func (c *carver) variable(m *Module, name string, id *syntax.Ident) (*function, error) {
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
	// The same variable under the same name is the same constant, and known.
	what := "variable of " + pos.String()
	if c.taken[id.Name].what == what {
		return nil, nil
	}
	// Before the name is taken: what can't be written is worse than what is called alike.
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

// checkBuiltins refuses a file in which a variable would hide a builtin that something in it means.
func (c *carver) checkBuiltins() error {
	for _, name := range slices.Sorted(maps.Keys(c.taken)) {
		pos, used := c.builtins[name]
		if !used && !c.literals.names[name] {
			continue
		}
		x := &Error{
			Pos:    pos,
			Msg:    fmt.Sprintf("%q means the builtin here, but the variable of %s elsewhere in the carved file", name, c.taken[name].pos),
			Advice: []string{"rename the variable"},
		}
		if !used {
			x.Msg = fmt.Sprintf("the variable %q of %s hides the builtin that a value is made with", name, c.taken[name].pos)
		}
		return x
	}
	return nil
}

// assemble writes the file and proves that it can be loaded.
func (c *carver) assemble(header string) ([]byte, error) {
	header = strings.TrimRight(header, "\n")
	for line := range strings.SplitSeq(header, "\n") {
		if header != "" && !strings.HasPrefix(line, "#") {
			return nil, &Error{Msg: fmt.Sprintf("header: got line %q, want comments only", line)}
		}
	}
	// Helpers as the scripts have them, then what is exported as it was asked for.
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
	// One by one, so that a part which the formatter can't read leaves the others tidy.
	for i, part := range parts {
		parts[i] = string(format([]byte(part)))
	}
	src := []byte(header + strings.Join(parts, "\n"))

	// What can't be loaded must never be taken for an undo.
	name := "carved file"
	if err := checkSource(name, src, c.engine.limits.SourceBytes); err != nil {
		return nil, &Error{Msg: err.Error(), cause: err}
	}
	file, err := dialect.Parse(name, src, 0)
	if err == nil {
		_, err = starlark.FileProgram(file, c.engine.predeclared.Has)
	}
	if err != nil {
		return nil, &Error{Msg: fmt.Sprintf("internal error: the carved file can't be loaded: %v", err), cause: err}
	}
	return src, nil
}
