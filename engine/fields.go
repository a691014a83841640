package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/internal/suggest"
)

// fields are the fields of a value that functions are called with.
type fields struct {
	names []string
	at    syntax.Position // where a script makes the value, if one does
}

// followed is a function with the argument that it is called with.
type followed struct {
	def   *syntax.DefStmt
	param string
	value *fields
	with  string // the functions that are passed to it
}

// bound is a function that a parameter stands for.
type bound struct {
	in  *index
	def *syntax.DefStmt
}

// contract follows the values that the host passes to functions of a file.
func (a *auditor) contract(x *index, passed map[string]string) {
	values := map[string]*fields{}
	for function, argument := range passed {
		if _, done := values[argument]; !done {
			values[argument] = a.variable(x, argument)
			// Functions can also name the variable itself.
			if id := x.tops[argument]; id != nil && values[argument] != nil {
				a.uses(x, x.module.file, id, values[argument])
			}
		}
		if id := x.tops[function]; id != nil && values[argument] != nil {
			if in, def := x.function(id, a.index); def != nil {
				a.follow(in, def, "", values[argument], "")
			}
		}
	}
}

// declared follows the values whose fields the host has declared.
func (a *auditor) declared(x *index, all map[string][]string) {
	shared := map[string]*fields{} // the same fields are followed once
	for _, function := range slices.Sorted(maps.Keys(all)) {
		names := all[function]
		key := strings.Join(names, " ")
		if shared[key] == nil {
			shared[key] = &fields{names: names}
		}
		if id := x.tops[function]; id != nil {
			if in, def := x.function(id, a.index); def != nil {
				a.follow(in, def, "", shared[key], "")
			}
		}
	}
}

// variable returns the fields of a top-level variable. After loading, the value itself is known.
func (a *auditor) variable(x *index, name string) *fields {
	id := x.tops[name]
	if id == nil {
		return nil
	}
	made := a.fields(x, x.value(id), 0)
	if value, ok := x.module.globals[name].(starlark.HasAttrs); ok && made == nil {
		return &fields{value.AttrNames(), id.NamePos}
	}
	return made
}

// handover follows the value that a call of a builtin gives to functions.
func (a *auditor) handover(x *index, c target) {
	for _, h := range a.handovers {
		if h.Builtin != c.name || c.def != nil || c.args.unpacked {
			continue
		}
		value := a.fields(x, c.args.get(c.signature, h.Argument), 0)
		if value == nil {
			continue
		}
		for _, param := range h.Functions {
			if id, ok := c.args.get(c.signature, param).(*syntax.Ident); ok {
				if in, def := x.function(id, a.index); def != nil {
					a.follow(in, def, "", value, "")
				}
			}
		}
	}
}

// fields returns the fields of the struct that an expression makes, or nil if that can't be told.
func (a *auditor) fields(x *index, e syntax.Expr, steps int) *fields {
	if steps == maxSteps {
		return nil
	}
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return a.fields(x, e.X, steps)
	case *syntax.Ident:
		return a.fields(x, x.value(e), steps+1)
	case *syntax.CallExpr:
		c, ok := a.target(x, e.Fn, argumentsOf(e))
		switch {
		case !ok || c.args.unpacked:
			return nil
		case c.def != nil:
			return a.fields(c.in, onlyResult(c.def), steps+1)
		case c.signature.Named && c.signature.Rest && len(c.args.positional) == 0:
			f := &fields{at: c.args.at}
			for _, arg := range c.args.named {
				f.names = append(f.names, arg.X.(*syntax.Ident).Name)
			}
			return f
		}
	}
	return nil
}

// onlyResult is the value that a function returns, if only one statement returns a value.
func onlyResult(def *syntax.DefStmt) syntax.Expr {
	var results []syntax.Expr
	syntax.Walk(def, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.DefStmt:
			return n == def
		case *syntax.ReturnStmt:
			results = append(results, n.Result)
		}
		return true
	})
	if len(results) != 1 {
		return nil
	}
	return results[0]
}

// follow checks how a function uses an argument whose fields are known. param "" is the first
// argument. with distinguishes calls that pass other functions.
func (a *auditor) follow(x *index, def *syntax.DefStmt, param string, value *fields, with string) {
	for _, p := range def.Params {
		if withDefault, ok := p.(*syntax.BinaryExpr); ok {
			p = withDefault.X
		}
		id, ok := p.(*syntax.Ident)
		if !ok || param != "" && param != id.Name {
			continue
		}
		key := followed{def, id.Name, value, with}
		// If the parameter gets another value, its fields are not known.
		if !a.followed[key] && x.writes[first(id)] == 1 {
			a.followed[key] = true
			a.uses(x, def, id, value)
		}
		return
	}
}

// uses reports each field that the value of a variable does not have, wherever a part of a file
// reads it.
func (a *auditor) uses(x *index, part syntax.Node, variable *syntax.Ident, value *fields) {
	asked := map[string]bool{} // fields that hasattr tests, so they may be missing
	var reads, aliases []*syntax.Ident
	syntax.Walk(part, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.AssignStmt:
			if id, ok := n.LHS.(*syntax.Ident); ok {
				if other, ok := x.value(id).(*syntax.Ident); ok && refers(other, variable) {
					aliases = append(aliases, id)
				}
			}
		case *syntax.DotExpr:
			if id, ok := n.X.(*syntax.Ident); ok && refers(id, variable) && !slices.Contains(value.names, n.Name.Name) {
				reads = append(reads, n.Name)
			}
		case *syntax.CallExpr:
			if name := builtin(n.Fn); (name == "hasattr" || name == "getattr") && len(n.Args) > 1 {
				if field, ok := n.Args[1].(*syntax.Literal); ok && field.Token == syntax.STRING {
					asked[field.Value.(string)] = true
				}
			}
			for _, c := range a.calls(x, n) {
				a.pass(x, c, variable, value)
			}
		}
		return true
	})
	for _, field := range reads {
		if !asked[field.Name] {
			a.missing(field, variable.Name, value)
		}
	}
	for _, alias := range aliases {
		a.uses(x, part, alias, value)
	}
}

func (a *auditor) missing(field *syntax.Ident, variable string, value *fields) {
	hint := "it has " + list(value.names)
	if len(value.names) == 0 {
		hint = "it has no fields at all"
	}
	if near := suggest.Nearest(field.Name, value.names); near != "" {
		hint = "did you mean " + near + "?"
	}
	made := ""
	if value.at.IsValid() {
		made = ": it is made at " + value.at.String()
	}
	a.add(field.NamePos, hint, fmt.Sprintf("%s has no field %q%s", variable, field.Name, made))
}

// pass follows a value into the function that it is passed to, together with the functions that are
// passed with it: take_back(content, left_in, off) calls off(content).
func (a *auditor) pass(x *index, c target, variable *syntax.Ident, value *fields) {
	if c.def == nil || c.args.unpacked {
		return
	}
	before, with := a.bound, ""
	a.bound = maps.Clone(before)
	if a.bound == nil {
		a.bound = map[*syntax.Ident]bound{}
	}
	for _, param := range c.def.Params {
		id, ok := param.(*syntax.Ident)
		if !ok || c.in.writes[first(id)] != 1 {
			continue
		}
		given, ok := c.args.get(c.signature, id.Name).(*syntax.Ident)
		if !ok {
			continue
		}
		b, known := a.bound[first(given)]
		if !known {
			b.in, b.def = x.function(given, a.index)
		}
		if b.def != nil {
			a.bound[first(id)] = b
			with += id.Name + "=" + b.in.module.name + ":" + b.def.Name.Name + " "
		}
	}
	for _, p := range c.signature.Params {
		if id, ok := c.args.get(c.signature, p.Name).(*syntax.Ident); ok && refers(id, variable) {
			a.follow(c.in, c.def, p.Name, value, with)
		}
	}
	a.bound = before
}
