package engine

import (
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// A choice is one of the modules of builtins that a variable may be.
type choice struct {
	module *starlarkstruct.Module
	path   string
}

// choices returns the modules of builtins of which an expression is one, or none if it may be
// something else. Scripts choose a cloud so: api = cloud.aws if region else cloud.gcp, or
// api, where = cloud_of(cloud_type), a function that returns one of them first.
func (a *auditor) choices(x *index, e syntax.Expr, steps int) []choice {
	if steps == maxSteps {
		return nil
	}
	if value, path := a.builtin(e); path != "" {
		if module, ok := value.(*starlarkstruct.Module); ok {
			return []choice{{module, path}}
		}
		return nil
	}
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return a.choices(x, e.X, steps)
	case *syntax.CondExpr:
		return a.each(x, []syntax.Expr{e.True, e.False}, steps+1)
	case *syntax.Ident:
		if value := x.value(e); value != nil {
			return a.choices(x, value, steps+1)
		}
		if p, ok := x.parts[first(e)]; ok && first(e) != nil && x.writes[first(e)] == 1 {
			return a.results(x, p.of, p.n, steps+1)
		}
	case *syntax.CallExpr:
		return a.results(x, e, -1, steps+1)
	}
	return nil
}

// each joins the choices of several expressions of which one is meant. None has no attributes, so
// that it is never meant. Where nothing is known of one of the others nothing is known.
func (a *auditor) each(x *index, values []syntax.Expr, steps int) []choice {
	var joined []choice
	for _, value := range values {
		if id, ok := value.(*syntax.Ident); ok && id.Name == "None" {
			continue
		}
		one := a.choices(x, value, steps)
		if len(one) == 0 {
			return nil
		}
		joined = append(joined, one...)
	}
	return joined
}

// results returns the choices of what a call returns, or of one part of it; -1 is the whole.
func (a *auditor) results(x *index, e syntax.Expr, n, steps int) []choice {
	if steps >= maxSteps {
		return nil
	}
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return a.results(x, e.X, n, steps)
	case *syntax.TupleExpr:
		if n >= 0 && n < len(e.List) {
			return a.each(x, e.List[n:n+1], steps)
		}
	case *syntax.CondExpr:
		var joined []choice
		for _, branch := range []syntax.Expr{e.True, e.False} {
			if isNone(branch, n) {
				continue
			}
			one := a.results(x, branch, n, steps+1)
			if len(one) == 0 {
				return nil
			}
			joined = append(joined, one...)
		}
		return joined
	case *syntax.CallExpr:
		return a.returned(x, e, n, steps)
	}
	return nil
}

// isNone reports whether a part of a tuple is None.
func isNone(e syntax.Expr, n int) bool {
	if paren, ok := e.(*syntax.ParenExpr); ok {
		e = paren.X
	}
	tuple, ok := e.(*syntax.TupleExpr)
	if !ok || n < 0 || n >= len(tuple.List) {
		return false
	}
	id, ok := tuple.List[n].(*syntax.Ident)
	return ok && id.Name == "None"
}

// returned returns the choices of what a function of a script returns.
func (a *auditor) returned(x *index, call *syntax.CallExpr, n, steps int) []choice {
	id, ok := call.Fn.(*syntax.Ident)
	if !ok {
		return nil
	}
	in, def := x.function(id, a.index)
	if def == nil {
		return nil
	}
	var joined []choice
	known := true
	syntax.Walk(def, func(node syntax.Node) bool {
		switch node := node.(type) {
		case *syntax.DefStmt:
			return node == def
		case *syntax.ReturnStmt:
			var one []choice
			switch {
			case node.Result == nil:
			case n < 0:
				one = a.choices(in, node.Result, steps+1)
			case isNone(node.Result, n):
				return true
			default:
				one = a.results(in, node.Result, n, steps+1)
			}
			known = known && len(one) > 0
			joined = append(joined, one...)
		}
		return true
	})
	if !known {
		return nil
	}
	return joined
}

// chosen returns the members that an attribute of a variable may be: those of the choices that have
// it. path names them for a message.
func chosen(choices []choice, name string) (members []starlark.Value, paths []string) {
	for _, c := range choices {
		if value, ok := c.module.Members[name]; ok {
			members, paths = append(members, value), append(paths, c.path+"."+name)
		}
	}
	return members, paths
}

// either joins signatures: a call that fits one of them fits it.
func either(signatures []Signature) Signature {
	joined := signatures[0]
	for _, s := range signatures[1:] {
		joined.Named = joined.Named && s.Named
		joined.More, joined.Rest = joined.More || s.More, joined.Rest || s.Rest
		params := append([]Param(nil), joined.Params...)
		for i := range params {
			if p := s.param(params[i].Name); p == nil || !p.Required {
				params[i].Required = false
			}
		}
		for _, p := range s.Params {
			if joined.param(p.Name) == nil {
				p.Required = false
				params = append(params, p)
			}
		}
		joined.Params = params
	}
	return joined
}

// param returns a parameter, or nil.
func (s *Signature) param(name string) *Param {
	for i := range s.Params {
		if s.Params[i].Name == name {
			return &s.Params[i]
		}
	}
	return nil
}
