package engine

import (
	"fmt"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// A file's values are frozen once it is loaded. So a function can't change what a top-level variable
// holds, unless it is called while the file loads.

// container is what kind of value a top-level variable holds.
type container string

const (
	aList container = "list"
	aDict container = "dict"
	aSet  container = "set"
)

// alwaysChange are the methods that fail for a frozen value whatever it contains.
var alwaysChange = map[container]map[string]bool{
	aList: {"append": true, "clear": true, "extend": true, "insert": true, "pop": true, "remove": true},
	aDict: {"clear": true, "pop": true, "popitem": true},
	aSet:  {"add": true, "discard": true, "pop": true, "remove": true},
}

// frozenCall reports a call of a method such as append, of a top-level variable.
func (a *auditor) frozenCall(x *index, within []syntax.Node, call *syntax.CallExpr) {
	dot, ok := call.Fn.(*syntax.DotExpr)
	if !ok {
		return
	}
	top, ok := a.top(x, dot.X)
	if !ok || top.kind == "" || !alwaysChange[top.kind][dot.Name.Name] && !top.changedBy(call, dot.Name.Name) {
		return
	}
	a.frozen(x, within, top, dot.Name.NamePos)
}

// frozenAssignment reports an assignment to an element of a top-level variable, and one such as
// x += 1 that is meant for a top-level variable.
func (a *auditor) frozenAssignment(x *index, within []syntax.Node, n *syntax.AssignStmt) {
	switch to := n.LHS.(type) {
	case *syntax.IndexExpr:
		if top, ok := a.top(x, to.X); ok && top.kind != "" {
			a.frozen(x, within, top, to.Lbrack)
		}
	case *syntax.Ident:
		// Python needs the word global for it; here it is always a variable of the function.
		if n.Op != syntax.EQ && x.writes[first(to)] == x.added[first(to)] && isLocal(to) {
			a.add(to.NamePos, "what a function assigns is its own, also if a variable outside has the same name: pass values in, and return them",
				fmt.Sprintf("%s has no value that %s could change: nothing else in this function assigns to it", to.Name, n.Op))
		}
	}
}

func isLocal(id *syntax.Ident) bool {
	b, ok := id.Binding.(*resolve.Binding)
	return ok && (b.Scope == resolve.Local || b.Scope == resolve.Cell)
}

// frozen reports a change of a top-level variable, unless the function may be called while the file
// loads.
func (a *auditor) frozen(x *index, within []syntax.Node, top top, at syntax.Position) {
	def := outermost(within)
	if def == nil || top.in == x && a.early(x)[variable{x, def.Name.Name}] {
		return
	}
	a.add(at, fmt.Sprintf("work on a copy of it, %s(…), and return that", top.kind),
		fmt.Sprintf("%s can't be changed here: top-level variables are frozen once the file is loaded", top.name))
}

// outermost returns the top-level function that a node is in, or nil.
func outermost(within []syntax.Node) *syntax.DefStmt {
	for _, n := range within {
		switch n := n.(type) {
		case *syntax.DefStmt:
			return n
		case *syntax.LambdaExpr:
			return nil // it may be called while the file loads
		}
	}
	return nil
}

// A top is a list, dict or set that a top-level variable holds.
type top struct {
	in      *index // of the file with the variable
	name    string // as the function writes it
	kind    container
	value   syntax.Expr
	literal bool // nothing can have changed the value while the file was loaded
}

// changedBy reports whether a call of a method changes what is known to be in a dict.
func (t top) changedBy(call *syntax.CallExpr, method string) bool {
	literal, ok := t.value.(*syntax.DictExpr)
	if t.kind != aDict || !ok {
		return false
	}
	switch method {
	case "setdefault": // it changes nothing if the key is there
		return len(literal.List) == 0 && t.literal
	case "update": // it changes nothing if there is nothing to add
		for _, arg := range argumentsOf(call).positional {
			added, ok := arg.(*syntax.DictExpr)
			return ok && len(added.List) > 0
		}
		return len(argumentsOf(call).named) > 0
	}
	return false
}

// top returns the value of a top-level variable that an expression is, or that is a part of one. The
// kind is "" if it is not known.
func (a *auditor) top(x *index, e syntax.Expr) (top, bool) {
	name := ""
	for range 2 * maxSteps {
		switch n := e.(type) {
		case *syntax.ParenExpr:
			e = n.X
			continue
		case *syntax.IndexExpr: // X[i][j]: what is in a frozen value is frozen, too
			whole, ok := a.top(x, n.X)
			if part := element(whole.value, n.Y); ok && whole.literal && part != nil {
				whole.name, whole.kind, whole.value = whole.name+"[…]", kindOf(part), part
				return whole, true
			}
			return top{}, false
		case *syntax.Ident:
			if name == "" {
				name = n.Name
			}
			b, ok := n.Binding.(*resolve.Binding)
			if !ok {
				return top{}, false
			}
			if loaded, ok := x.module.loads[b.First]; ok {
				x = a.index(loaded.module)
				if e = x.tops[loaded.name]; e == (*syntax.Ident)(nil) {
					return top{}, false
				}
				continue
			}
			value := x.value(n)
			if other, ok := value.(*syntax.Ident); ok {
				e = other // another name of the same value
				continue
			}
			if value == nil || b.Scope != resolve.Global {
				return top{}, false
			}
			return top{x, name, kindOf(value), value, !a.early(x)[variable{x, n.Name}]}, true
		}
		return top{}, false
	}
	return top{}, false
}

// element returns what a literal list or dict has at a literal index, or nil if that is not known.
func element(of, at syntax.Expr) syntax.Expr {
	key, ok := at.(*syntax.Literal)
	dict, isDict := of.(*syntax.DictExpr)
	if !ok || !isDict {
		return nil
	}
	for _, x := range dict.List {
		entry := x.(*syntax.DictEntry)
		if k, ok := entry.Key.(*syntax.Literal); ok && k.Value == key.Value {
			return entry.Value
		}
	}
	return nil
}

// kindOf returns which container an expression makes, or "".
func kindOf(e syntax.Expr) container {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return kindOf(e.X)
	case *syntax.ListExpr:
		return aList
	case *syntax.DictExpr:
		return aDict
	case *syntax.Comprehension:
		if e.Curly {
			return aDict
		}
		return aList
	case *syntax.CallExpr:
		if id, ok := e.Fn.(*syntax.Ident); ok {
			if b, ok := id.Binding.(*resolve.Binding); ok && b.Scope == resolve.Universal {
				switch kind := container(id.Name); kind {
				case aList, aDict, aSet:
					return kind
				}
			}
		}
	}
	return ""
}
