package engine

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/internal/suggest"
)

// A Contract says how the host uses a file. Check can't see that in the file. The zero value says
// nothing.
type Contract struct {
	// Entries are the top-level variables that the host uses. With some given, Check warns of
	// others that nothing uses.
	Entries []string

	// Arguments says which value the host passes to a function. Both are top-level variables of the
	// file: the key holds the function, the value holds its only argument.
	Arguments map[string]string

	// Fields are the fields of the first argument that the host passes to a function. The key is
	// the variable that holds the function.
	Fields map[string][]string

	// Handovers are the builtins that take functions together with the argument that they will be
	// called with.
	Handovers []Handover

	// Recording is the builtin that a function has to call before it may change something.
	Recording Recording
}

// A Handover is a builtin that is given functions and their only argument.
type Handover struct {
	Builtin   string
	Functions []string // the parameters that take functions
	Argument  string   // the parameter that takes the argument
}

// CheckModule finds calls that would fail, in a loaded file and in the files that it loads: an
// attribute that a module of builtins does not have, a call that does not fit the signature of a
// builtin or of a function of the file, a field that the argument of a function does not have, a
// function that calls itself, a change of a top-level variable, which is frozen by then, and a change
// without a recorded undo. It returns nil, or an *Error for the first finding, with the others in Others.
//
// It runs nothing, and costs less than loading the file.
func (e *Engine) CheckModule(m *Module, c Contract) error {
	found, _ := e.audit(m, c)
	if len(found) == 0 {
		return nil
	}
	first := *found[0]
	others := found[1:]
	if len(others) > maxOthers {
		first.omitted = len(others) - maxOthers
		others = others[:maxOthers]
	}
	first.Others = others
	return &first
}

// audit returns what CheckModule finds, by file and line, and code that is probably a mistake.
func (e *Engine) audit(m *Module, c Contract) (errs, warnings []*Error) {
	a := &auditor{
		engine: e, handovers: c.Handovers,
		seen: map[string]bool{}, followed: map[followed]bool{}, indices: map[*Module]*index{},
		earlies: map[*index]map[variable]bool{}, edges: map[*syntax.DefStmt][]edge{},
	}
	a.module(m)
	a.contract(a.index(m), c.Arguments)
	a.declared(a.index(m), c.Fields)
	a.recording(a.index(m), c.Recording)
	a.loops()
	runtime.KeepAlive(m) // findings show its lines
	slices.SortStableFunc(a.found, func(x, y *Error) int {
		return cmp.Or(cmp.Compare(x.Pos.Filename(), y.Pos.Filename()), cmp.Compare(x.Pos.Line, y.Pos.Line), cmp.Compare(x.Pos.Col, y.Pos.Col))
	})
	return a.found, a.warnings
}

// An auditor looks for calls that load and would fail.
type auditor struct {
	engine    *Engine
	handovers []Handover
	found     []*Error
	warnings  []*Error
	seen      map[string]bool
	followed  map[followed]bool
	bound     map[*syntax.Ident]bound // the functions that parameters stand for in the call that is followed
	indices   map[*Module]*index
	order     []*index // of the files, as they were looked through
	earlies   map[*index]map[variable]bool
	edges     map[*syntax.DefStmt][]edge
}

func (a *auditor) index(m *Module) *index {
	if a.indices[m] == nil {
		a.indices[m] = newIndex(m)
	}
	return a.indices[m]
}

func (a *auditor) add(pos syntax.Position, hint, msg string) {
	if x := a.finding(pos, hint, msg); x != nil && len(a.found) < maxWarnings {
		a.found = append(a.found, x)
	}
}

func (a *auditor) warn(pos syntax.Position, hint, msg string) {
	if x := a.finding(pos, hint, msg); x != nil && len(a.warnings) < maxWarnings {
		a.warnings = append(a.warnings, x)
	}
}

// finding returns nil for what was found already.
func (a *auditor) finding(pos syntax.Position, hint, msg string) *Error {
	x := &Error{Pos: pos, Msg: msg}
	if a.seen[x.Error()] {
		return nil
	}
	a.seen[x.Error()] = true
	if hint != "" {
		x.Advice = []string{hint}
	}
	a.engine.excerpt(x)
	return x
}

// module looks through a file, after those that it loads.
func (a *auditor) module(m *Module) {
	if a.indices[m] != nil {
		return
	}
	x := a.index(m)
	for _, loaded := range m.loads {
		a.module(loaded.module)
	}
	a.order = append(a.order, x)
	var within []syntax.Node // n, and what n is a part of
	syntax.Walk(m.file, func(n syntax.Node) bool {
		if n == nil {
			within = within[:len(within)-1]
			return true
		}
		within = append(within, n)
		switch n := n.(type) {
		case *syntax.AssignStmt:
			a.frozenAssignment(x, within, n)
		case *syntax.DotExpr:
			a.attribute(x, n)
		case *syntax.CallExpr:
			a.frozenCall(x, within, n)
			for _, c := range a.calls(x, n) {
				for _, f := range c.args.misfits(c.name, c.signature) {
					a.add(f.pos, f.hint, f.msg)
				}
				a.handover(x, c)
				a.recursion(within, c)
			}
		}
		return true
	})
}

// attribute reports an attribute that a module of builtins does not have.
func (a *auditor) attribute(x *index, n *syntax.DotExpr) {
	choices := a.choices(x, n.X, 0)
	if members, _ := chosen(choices, n.Name.Name); len(choices) == 0 || len(members) > 0 {
		return
	}
	var paths, names []string
	for _, c := range choices {
		paths = append(paths, c.path)
		names = append(names, c.module.Members.Keys()...)
	}
	hint := ""
	if near := suggest.Nearest(n.Name.Name, names); near != "" {
		_, meant := chosen(choices, near)
		hint = fmt.Sprintf("did you mean %s?", meant[0])
	}
	a.add(n.Name.NamePos, hint, fmt.Sprintf("%s has no %q", strings.Join(paths, " or "), n.Name.Name))
}

// builtin returns what the host predeclared under an expression such as k8s or k8s.get, and its
// name.
func (a *auditor) builtin(x syntax.Expr) (starlark.Value, string) {
	switch x := x.(type) {
	case *syntax.ParenExpr:
		return a.builtin(x.X)
	case *syntax.Ident:
		if b, ok := x.Binding.(*resolve.Binding); ok && b.Scope == resolve.Predeclared {
			return a.engine.predeclared[x.Name], x.Name
		}
	case *syntax.DotExpr:
		value, path := a.builtin(x.X)
		if module, ok := value.(*starlarkstruct.Module); ok {
			return module.Members[x.Name.Name], path + "." + x.Name.Name
		}
	}
	return nil, ""
}

// A target is a call, and what is known of the function that it calls.
type target struct {
	name      string
	signature *Signature
	in        *index          // of its file, if a script defines it
	def       *syntax.DefStmt // nil for a builtin
	args      arguments
}

// calls returns the call that an expression is. For attempt and parallel it also returns the call
// that they make, if it is known which function they call.
func (a *auditor) calls(x *index, call *syntax.CallExpr) []target {
	args := argumentsOf(call)
	outer, ok := a.target(x, call.Fn, args)
	if !ok {
		return nil
	}
	inner := arguments{at: args.at}
	switch {
	case outer.name == "attempt" && outer.def == nil && len(args.positional) > 0:
		inner.positional, inner.named, inner.unpacked = args.positional[1:], args.named, args.unpacked
	case outer.name == "parallel" && outer.def == nil:
		inner.positional, inner.elsewhere = []syntax.Expr{nil}, true
	default:
		return []target{outer}
	}
	if passed, ok := a.target(x, args.get(outer.signature, "fn"), inner); ok {
		return []target{outer, passed}
	}
	return []target{outer}
}

// target finds the function that an expression names.
func (a *auditor) target(x *index, fn syntax.Expr, args arguments) (target, bool) {
	if paren, ok := fn.(*syntax.ParenExpr); ok {
		return a.target(x, paren.X, args)
	}
	if _, path := a.builtin(fn); path != "" {
		s, ok := a.engine.signatures[path]
		return target{name: path, signature: &s, args: args}, ok
	}
	if dot, ok := fn.(*syntax.DotExpr); ok {
		_, paths := chosen(a.choices(x, dot.X, 0), dot.Name.Name)
		var signatures []Signature
		for _, path := range paths {
			if s, ok := a.engine.signatures[path]; ok {
				signatures = append(signatures, s)
			}
		}
		if len(signatures) == 0 {
			return target{}, false
		}
		s := either(signatures)
		return target{name: paths[0], signature: &s, args: args}, true
	}
	id, ok := fn.(*syntax.Ident)
	if !ok {
		return target{}, false
	}
	if b, ok := a.bound[first(id)]; ok {
		return target{name: b.def.Name.Name, signature: signatureOf(b.def), in: b.in, def: b.def, args: args}, true
	}
	if s, ok := universal[builtin(id)]; ok {
		return target{name: id.Name, signature: &s, args: args}, true
	}
	in, def := x.function(id, a.index)
	if def == nil {
		return target{}, false
	}
	return target{name: id.Name, signature: signatureOf(def), in: in, def: def, args: args}, true
}

// list names fields for a message.
func list(names []string) string {
	const most = 8
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
