package engine

import (
	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// A variable is a top-level variable of a file or, without a file, what the host predeclared.
type variable struct {
	in   *index
	name string
}

// early returns the top-level variables that may be used while a file loads: those that a statement
// with a call mentions, and all that these mention. Functions among them may be called then.
func (a *auditor) early(x *index) map[variable]bool {
	if names, ok := a.earlies[x]; ok {
		return names
	}
	names := map[variable]bool{}
	for _, stmt := range x.module.file.Stmts {
		if _, ok := stmt.(*syntax.DefStmt); !ok && hasCall(stmt) {
			a.mention(x, stmt, names)
		}
	}
	a.earlies[x] = names
	return names
}

func hasCall(stmt syntax.Stmt) bool {
	found := false
	syntax.Walk(stmt, func(n syntax.Node) bool {
		_, ok := n.(*syntax.CallExpr)
		found = found || ok
		return !found
	})
	return found
}

// mention collects what a part of a file mentions, and what that mentions. A function that is not
// among it can't be called from there.
func (a *auditor) mention(x *index, part syntax.Node, names map[variable]bool) {
	syntax.Walk(part, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok {
			a.mentionName(x, id, names)
		}
		return true
	})
}

func (a *auditor) mentionName(x *index, id *syntax.Ident, names map[variable]bool) {
	b, ok := id.Binding.(*resolve.Binding)
	if !ok {
		return
	}
	name := id.Name
	if loaded, ok := x.module.loads[b.First]; ok {
		x, name = a.index(loaded.module), loaded.name
	} else if b.Scope == resolve.Predeclared {
		names[variable{nil, name}] = true
		return
	} else if b.Scope != resolve.Global {
		return
	}
	v := variable{x, name}
	if names[v] {
		return
	}
	names[v] = true
	if def := x.defs[name]; def != nil {
		a.mention(x, def, names)
	}
	for _, value := range x.assigned[name] {
		a.mention(x, value, names)
	}
}
