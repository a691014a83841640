package engine

import (
	"cmp"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A function is a top-level def that becomes part of the file.
type function struct {
	module   *Module
	order    int // of the module: modules are in the order in which they were loaded
	def      *syntax.DefStmt
	exported int // 1 for the first exported function, 0 for a helper
	comment  string
	aliases  []string    // statements that give it further names
	defaults []*function // functions that the defaults of its parameters name; they must come before it
	written  bool
}

// comment makes comment lines of text.
func comment(text string) string {
	if text == "" {
		return ""
	}
	b := new(strings.Builder)
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if !strings.HasPrefix(line, "#") {
			line = strings.TrimRight("# "+line, " ")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// function adds fn and what it needs. use is where it is needed.
func (c *extractor) function(fn *starlark.Function, use syntax.Position) (*function, error) {
	f := c.find(fn)
	if f == nil {
		msg := fmt.Sprintf("function %q can't be extracted: it is defined inside another one", fn.Name())
		if fn.Name() == "lambda" {
			msg = "a lambda can't be extracted"
		}
		if use != fn.Position() {
			msg += fmt.Sprintf("; needed at %s", use)
		}
		return nil, &Error{
			Pos: fn.Position(), Msg: msg,
			Advice: []string{"define it with def at the top level of the script, and pass what it captures as an argument"},
		}
	}
	if known := c.needed[f.def]; known != nil {
		return known, nil
	}
	c.needed[f.def] = f
	c.functions = append(c.functions, f)
	if _, err := c.take(f.def.Name.Name, f.def.Def.String(), f.def.Def.String()); err != nil {
		return nil, err
	}
	for _, param := range f.def.Params {
		if p, ok := param.(*syntax.BinaryExpr); ok {
			if err := c.parameterDefault(f, p); err != nil {
				return nil, err
			}
		}
	}
	var err error
	syntax.Walk(f.def, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok && err == nil {
			_, err = c.name(f.module, id)
		}
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// parameterDefault checks the default of a parameter. It is evaluated when the file is loaded. A
// name has the same value there; a call would be made a second time.
func (c *extractor) parameterDefault(f *function, param *syntax.BinaryExpr) error {
	var err error
	syntax.Walk(param.Y, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			start, _ := n.Span()
			err = cmp.Or(err, error(&Error{
				Pos:    start,
				Msg:    fmt.Sprintf("the default of a parameter of %q calls a function, and would call it again when the file is replayed", f.def.Name.Name),
				Advice: []string{"assign the result to a top-level variable, and make that the default"},
			}))
		case *syntax.Ident:
			if err == nil {
				var needed *function
				if needed, err = c.name(f.module, n); needed != nil {
					f.defaults = append(f.defaults, needed)
				}
			}
		}
		return err == nil
	})
	return err
}

// write appends the text of the function to parts, after the functions that its defaults need.
func (f *function) write(parts []string) []string {
	if f.written {
		return parts
	}
	f.written = true
	for _, needed := range f.defaults {
		parts = needed.write(parts)
	}
	return append(append(parts, f.comment+f.module.text(f.def)), f.aliases...)
}
