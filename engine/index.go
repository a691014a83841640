package engine

import (
	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// An index says where the functions and variables of a file are defined. The key of a variable is
// the first identifier that names it.
type index struct {
	module *Module
	defs   map[string]*syntax.DefStmt    // at the top level
	tops   map[string]*syntax.Ident      // variables at the top level
	writes map[*syntax.Ident]int         // how often a variable gets a value
	values map[*syntax.Ident]syntax.Expr // what is assigned to a variable on its own
	parts  map[*syntax.Ident]part        // what is assigned to a variable together with others

	added    map[*syntax.Ident]int    // how often a variable gets a value by += and the like
	assigned map[string][]syntax.Expr // what top-level variables get their values from
}

// A part is one of several results of an expression.
type part struct {
	of syntax.Expr
	n  int
}

func newIndex(m *Module) *index {
	x := &index{
		module: m, defs: map[string]*syntax.DefStmt{}, tops: map[string]*syntax.Ident{},
		writes: map[*syntax.Ident]int{}, values: map[*syntax.Ident]syntax.Expr{}, parts: map[*syntax.Ident]part{},
		added: map[*syntax.Ident]int{}, assigned: map[string][]syntax.Expr{},
	}
	for _, stmt := range m.file.Stmts {
		switch s := stmt.(type) {
		case *syntax.DefStmt:
			x.defs[s.Name.Name], x.tops[s.Name.Name] = s, s.Name
		case *syntax.AssignStmt:
			if id, ok := s.LHS.(*syntax.Ident); ok {
				x.tops[id.Name] = id
			}
			syntax.Walk(s.LHS, func(n syntax.Node) bool {
				if id, ok := n.(*syntax.Ident); ok {
					x.assigned[id.Name] = append(x.assigned[id.Name], s.RHS)
				}
				return true
			})
		}
	}
	syntax.Walk(m.file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.AssignStmt:
			x.write(n.LHS)
			if id, ok := n.LHS.(*syntax.Ident); ok && n.Op != syntax.EQ {
				x.added[first(id)]++
			}
			if n.Op == syntax.EQ {
				x.assign(n.LHS, n.RHS)
			}
		case *syntax.DefStmt:
			x.write(n.Name)
			x.write(n.Params...)
		case *syntax.LambdaExpr:
			x.write(n.Params...)
		case *syntax.ForStmt:
			x.write(n.Vars)
		case *syntax.ForClause:
			x.write(n.Vars)
		}
		return true
	})
	return x
}

// assign records the values that variables get.
func (x *index) assign(to, value syntax.Expr) {
	switch to := to.(type) {
	case *syntax.Ident:
		x.values[first(to)] = value
	case *syntax.ParenExpr:
		x.assign(to.X, value)
	case *syntax.TupleExpr:
		for i, one := range to.List {
			if id, ok := one.(*syntax.Ident); ok {
				x.parts[first(id)] = part{value, i}
			}
		}
	}
}

// write counts the variables among targets. In x.f and x[i], x is only read.
func (x *index) write(targets ...syntax.Expr) {
	for _, target := range targets {
		switch t := target.(type) {
		case *syntax.Ident:
			x.writes[first(t)]++
		case *syntax.ParenExpr:
			x.write(t.X)
		case *syntax.TupleExpr:
			x.write(t.List...)
		case *syntax.ListExpr:
			x.write(t.List...)
		case *syntax.BinaryExpr: // a parameter with a default
			x.write(t.X)
		case *syntax.UnaryExpr: // *args
			if t.X != nil {
				x.write(t.X)
			}
		}
	}
}

// value returns the only value that a variable gets, or nil if it gets several, or gets one in
// another way.
func (x *index) value(id *syntax.Ident) syntax.Expr {
	if id = first(id); id == nil || x.writes[id] != 1 {
		return nil
	}
	return x.values[id]
}

// maxSteps bounds how many names a value is followed through.
const maxSteps = 5

// function returns the top-level function that a name refers to, and its file.
func (x *index) function(id *syntax.Ident, of func(*Module) *index) (*index, *syntax.DefStmt) {
	for range maxSteps {
		b, ok := id.Binding.(*resolve.Binding)
		if !ok {
			return nil, nil
		}
		if loaded, ok := x.module.loads[b.First]; ok {
			x = of(loaded.module)
			if id = x.tops[loaded.name]; id == nil {
				return nil, nil
			}
			continue
		}
		if b.Scope != resolve.Global {
			return nil, nil
		}
		if def := x.defs[id.Name]; def != nil {
			return x, def
		}
		// A top-level variable: rollback_callable = rollback_pods.
		if id, ok = x.value(id).(*syntax.Ident); !ok {
			return nil, nil
		}
	}
	return nil, nil
}

// first returns the first identifier that names a variable, or nil.
func first(id *syntax.Ident) *syntax.Ident {
	if b, ok := id.Binding.(*resolve.Binding); ok {
		return b.First
	}
	return nil
}

// refers reports whether two identifiers refer to the same variable.
func refers(id, to *syntax.Ident) bool { return first(id) != nil && first(id) == first(to) }
