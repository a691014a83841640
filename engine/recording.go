package engine

import (
	"fmt"

	"go.starlark.net/syntax"
)

// A Recording says that a function of a file has to call a builtin before it may call others.
type Recording struct {
	Function string // the variable that holds the function
	Builtin  string // what has to be called first

	// Changes are the builtins that may be called only after that. The value is "", or a parameter:
	// with an argument for it, the call may be one that is always allowed.
	Changes map[string]string
}

// recording reports calls of the builtins that change something, where no call of the builtin that
// records can have come before.
func (a *auditor) recording(x *index, r Recording) {
	id := x.tops[r.Function]
	if id == nil {
		return
	}
	in, def := x.function(id, a.index)
	if def == nil {
		return
	}
	if names := map[variable]bool{}; !a.records(in, def, r, names) {
		// Nothing in the file can record: whatever it changes is refused.
		for v := range names {
			if v.in == in && in.defs[v.name] != nil {
				a.changes(in, in.defs[v.name], r, true)
			}
		}
		a.changes(in, def, r, true)
		return
	}
	for _, stmt := range def.Body {
		if a.records(in, stmt, r, map[variable]bool{}) {
			return
		}
		a.changes(in, stmt, r, false)
	}
}

// records reports whether a part of a file can reach the builtin that records, and collects what
// it can reach.
func (a *auditor) records(x *index, part syntax.Node, r Recording, names map[variable]bool) bool {
	a.mention(x, part, names)
	return names[variable{nil, r.Builtin}]
}

// changes reports the changes that a part of a file makes. With deep, these are also those of
// functions that are defined in it, which may be called later.
func (a *auditor) changes(x *index, part syntax.Node, r Recording, deep bool) {
	now := map[syntax.Node]bool{} // lambdas that are called at once
	syntax.Walk(part, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.DefStmt:
			return deep
		case *syntax.LambdaExpr:
			return deep || now[n]
		case *syntax.CallExpr:
			for _, c := range a.calls(x, n) {
				if c.def == nil && (c.name == "attempt" || c.name == "parallel") {
					now[c.args.get(c.signature, "fn")] = true
				}
				if a.isChange(c, r) {
					a.add(c.args.at, fmt.Sprintf("call %s first, and name in it what this changes", r.Builtin),
						fmt.Sprintf("%s: nothing has recorded the undo of this change", c.name))
				}
			}
		}
		return true
	})
}

// isChange reports whether a call surely needs a recorded undo.
func (a *auditor) isChange(c target, r Recording) bool {
	param, ok := r.Changes[c.name]
	return ok && c.def == nil && (param == "" || !c.args.unpacked && c.args.get(c.signature, param) == nil)
}
