package engine

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A Diagnostic is one finding of Check.
type Diagnostic struct {
	*Error
	Warning bool // the file can be loaded all the same
}

// Check finds errors in a file that is to be loaded with Load, without running it. It returns all
// errors that Load would return. If there are none, it returns what CheckModule would find, as far
// as the source text shows it. It also returns at most 100 warnings. All are in the order of their
// lines.
func (e *Engine) Check(name string, src []byte, contract Contract) []Diagnostic {
	m := &Module{name: name, lines: splitLines(src)}
	e.remember(m)
	defer runtime.KeepAlive(m)

	file, err := e.resolved(name, src, false)
	if err != nil {
		return e.diagnostics(err)
	}
	m.file = file
	return e.merge(e.warnings(file, contract.Entries), m, contract)
}

// CheckScript is Check for a file that is to be loaded with LoadScript. It loads the file, and the
// files that this loads, to know the functions that come from there.
func (e *Engine) CheckScript(ctx context.Context, fsys fs.FS, path string, contract Contract) []Diagnostic {
	l := &loader{engine: e, ctx: ctx, fsys: fsys}
	src, err := l.read(path)
	if err != nil {
		return e.diagnostics(err)
	}
	own := &Module{name: path, lines: splitLines(src)}
	e.remember(own)
	defer runtime.KeepAlive(own)

	file, err := e.resolved(path, src, true)
	if err != nil {
		return e.diagnostics(err)
	}
	found := e.warnings(file, contract.Entries)
	m, err := e.LoadScript(ctx, fsys, path)
	if err != nil {
		return append(e.diagnostics(err), found...)
	}
	return e.merge(found, m, contract)
}

// diagnostics returns each error of a file that can't be loaded.
func (e *Engine) diagnostics(err error) []Diagnostic {
	first := *e.explain(&call{engine: e, ctx: context.Background()}, err)
	others := first.Others
	first.Others = nil
	found := []Diagnostic{{Error: &first}}
	for _, other := range others {
		found = append(found, Diagnostic{Error: other})
	}
	return found
}

// merge adds what the audit of a file finds, and puts all in the order of the lines, those of other
// files first.
func (e *Engine) merge(found []Diagnostic, m *Module, contract Contract) []Diagnostic {
	errs, warnings := e.audit(m, contract)
	for _, x := range errs {
		found = append(found, Diagnostic{Error: x})
	}
	for _, x := range warnings {
		found = append(found, Diagnostic{Error: x, Warning: true})
	}
	slices.SortStableFunc(found, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Pos.Filename(), b.Pos.Filename()), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	return found
}

// resolved parses a file and resolves its names, as Load and LoadScript would.
func (e *Engine) resolved(name string, src []byte, loads bool) (*syntax.File, error) {
	if err := checkSource(name, src, e.limits.SourceBytes); err != nil {
		return nil, err
	}
	file, err := dialect.Parse(name, src, 0)
	if err != nil {
		return nil, err
	}
	if err := checkNesting(file); err != nil {
		return nil, err
	}
	if !loads {
		if err := refuseLoads(file); err != nil {
			return nil, err
		}
	}
	return file, resolve.File(file, e.predeclared.Has, starlark.Universe.Has)
}

// warnings finds code that can be loaded and is probably a mistake.
func (e *Engine) warnings(file *syntax.File, entries []string) []Diagnostic {
	c := &checker{engine: e, writes: map[*syntax.Ident]bool{}, reads: map[*syntax.Ident]int{}}
	c.block(file.Stmts)
	syntax.Walk(file, c.node)
	c.unused(entries)
	return c.found
}

// A checker finds code that can be loaded and is probably a mistake.
type checker struct {
	engine *Engine
	found  []Diagnostic

	names    []*syntax.Ident        // the identifiers that assign a variable on its own, or define a function
	assigned []*syntax.Ident        // all identifiers that have a binding
	writes   map[*syntax.Ident]bool // identifiers that only get a value
	others   []*syntax.Ident        // identifiers that get a value together with others, or from outside: parameters, loop variables
	reads    map[*syntax.Ident]int  // how often, by a binding's first identifier
}

// maxWarnings bounds what Check finds: a damaged file can have half a million statements that do
// nothing, all on one line.
const maxWarnings = 100

func (c *checker) warn(pos syntax.Position, hint, format string, args ...any) {
	if len(c.found) == maxWarnings {
		return
	}
	x := &Error{Pos: pos, Msg: fmt.Sprintf(format, args...)}
	if hint != "" {
		x.Advice = []string{hint}
	}
	c.engine.excerpt(x)
	c.found = append(c.found, Diagnostic{Error: x, Warning: true})
}

func (c *checker) node(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.Ident:
		if n.Binding != nil {
			c.assigned = append(c.assigned, n)
		}
	case *syntax.AssignStmt:
		if id, ok := n.LHS.(*syntax.Ident); ok {
			c.writes[id] = true
			c.names = append(c.names, id)
			c.hides(id)
		} else if n.Op == syntax.EQ {
			c.targets(n.LHS)
		}
	case *syntax.DefStmt:
		c.writes[n.Name] = true
		c.names = append(c.names, n.Name)
		c.hides(n.Name)
		c.params(n.Params)
		c.block(n.Body)
	case *syntax.LambdaExpr:
		c.params(n.Params)
	case *syntax.ForStmt:
		c.targets(n.Vars)
		c.block(n.Body)
	case *syntax.ForClause:
		c.targets(n.Vars)
	case *syntax.IfStmt:
		c.block(n.True)
		c.block(n.False)
	case *syntax.CallExpr:
		c.call(n)
	}
	return true
}

// targets collects the variables of a loop, or of an assignment to several variables.
func (c *checker) targets(target syntax.Expr) {
	switch t := target.(type) {
	case *syntax.Ident:
		c.writes[t] = true
		c.others = append(c.others, t)
	case *syntax.ParenExpr:
		c.targets(t.X)
	case *syntax.TupleExpr:
		for _, x := range t.List {
			c.targets(x)
		}
	case *syntax.ListExpr:
		for _, x := range t.List {
			c.targets(x)
		}
	}
}

func (c *checker) params(params []syntax.Expr) {
	for _, param := range params {
		switch p := param.(type) {
		case *syntax.BinaryExpr:
			param = p.X
		case *syntax.UnaryExpr:
			param = p.X
		}
		if id, ok := param.(*syntax.Ident); ok {
			c.writes[id] = true
			c.others = append(c.others, id)
		}
	}
}

// hides warns of a top-level variable that takes a builtin's name.
func (c *checker) hides(id *syntax.Ident) {
	binding := id.Binding.(*resolve.Binding)
	if binding.Scope == resolve.Global && binding.First == id &&
		(c.engine.predeclared.Has(id.Name) || starlark.Universe.Has(id.Name)) {
		c.warn(id.NamePos, "use another name", "%q hides the builtin of that name", id.Name)
	}
}

// builtin returns the name of the builtin that an expression is, or "".
func builtin(x syntax.Expr) string {
	if id, ok := x.(*syntax.Ident); ok {
		if b, ok := id.Binding.(*resolve.Binding); ok && (b.Scope == resolve.Predeclared || b.Scope == resolve.Universal) {
			return id.Name
		}
	}
	return ""
}

// call warns of attempt(f(x)): f is called before attempt, so attempt catches nothing.
func (c *checker) call(call *syntax.CallExpr) {
	name := builtin(call.Fn)
	if name != "attempt" && name != "parallel" || len(call.Args) == 0 {
		return
	}
	if inner, ok := call.Args[0].(*syntax.CallExpr); ok {
		start, _ := inner.Span()
		c.warn(start, fmt.Sprintf("pass the function and its arguments: %s(function, …)", name),
			"this is called before %s is", name)
	}
}

// block warns of statements that do nothing.
func (c *checker) block(stmts []syntax.Stmt) {
	dead := false
	for i, stmt := range stmts {
		start, _ := stmt.Span()
		if !dead && i > 0 && ends(stmts[i-1]) {
			dead = true
			c.warn(start, "", "this is never reached")
		}
		x, ok := stmt.(*syntax.ExprStmt)
		if !ok {
			continue
		}
		switch x := x.X.(type) {
		case *syntax.CallExpr:
			if builtin(x.Fn) == "attempt" {
				c.warn(start, "look at its .ok, or call the function itself", "an error that attempt catches here is ignored")
			}
		case *syntax.Comprehension:
			// A loop whose body is on its line.
		case *syntax.Literal:
			if x.Token != syntax.STRING {
				c.warn(start, "", "this does nothing")
			}
		case *syntax.Ident, *syntax.DotExpr:
			c.warn(start, "to call it, write ()", "this does nothing")
		default:
			c.warn(start, "", "this does nothing")
		}
	}
}

// ends reports whether nothing after stmt runs.
func ends(stmt syntax.Stmt) bool {
	switch s := stmt.(type) {
	case *syntax.ReturnStmt:
		return true
	case *syntax.BranchStmt:
		return s.Token != syntax.PASS
	case *syntax.ExprStmt:
		call, ok := s.X.(*syntax.CallExpr)
		return ok && builtin(call.Fn) == "fail"
	}
	return false
}

// unused warns of variables and functions that nothing reads.
func (c *checker) unused(entries []string) {
	for _, id := range c.assigned {
		if !c.writes[id] {
			c.reads[id.Binding.(*resolve.Binding).First]++
		}
	}
	// One warning for each variable. A variable that also gets values together with others gets
	// none.
	done := map[*syntax.Ident]bool{}
	for _, id := range c.others {
		done[id.Binding.(*resolve.Binding).First] = true
	}
	for _, id := range c.names {
		binding := id.Binding.(*resolve.Binding)
		if done[binding.First] || c.reads[binding.First] > 0 || strings.HasPrefix(id.Name, "_") {
			continue
		}
		done[binding.First] = true
		if binding.Scope == resolve.Global && (len(entries) == 0 || slices.Contains(entries, id.Name)) {
			continue
		}
		c.warn(id.NamePos, "", "%q is never used", id.Name)
	}
}
