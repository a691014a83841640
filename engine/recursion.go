package engine

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"
)

// An edge is a call of one function of a script by another.
type edge struct {
	to *syntax.DefStmt
	at syntax.Position
}

// recursion reports a call that the interpreter would refuse because the function is already
// running. within is what the call is a part of. A call by parallel runs on a stack of its own.
func (a *auditor) recursion(within []syntax.Node, c target) {
	caller := callerOf(within)
	if c.def == nil || caller == nil || c.args.elsewhere {
		return
	}
	name := caller.Name.Name
	if c.def == caller {
		a.add(c.args.at, noRecursion, fmt.Sprintf("%s calls itself, which fails", name))
		return
	}
	a.edges[caller] = append(a.edges[caller], edge{c.def, c.args.at})
}

// callerOf returns the function that runs a call, or nil if a lambda or the top level does.
func callerOf(within []syntax.Node) *syntax.DefStmt {
	for _, n := range slices.Backward(within) {
		switch n := n.(type) {
		case *syntax.LambdaExpr:
			return nil
		case *syntax.DefStmt:
			return n
		}
	}
	return nil
}

// loops warns of functions that call each other. They work as long as their conditions end the
// circle early enough, so it is no error.
func (a *auditor) loops() {
	reported := map[*syntax.DefStmt]bool{}
	for _, x := range a.order {
		for _, stmt := range x.module.file.Stmts {
			def, ok := stmt.(*syntax.DefStmt)
			if !ok || reported[def] {
				continue
			}
			path := a.circle(def)
			if path == nil {
				continue
			}
			names := []string{def.Name.Name}
			for _, e := range path {
				reported[e.to] = true
				names = append(names, e.to.Name.Name)
			}
			a.warn(path[0].at, noRecursion, fmt.Sprintf("these functions call each other, which fails: %s", strings.Join(names, " -> ")))
		}
	}
}

// circle returns the shortest way by which a function calls itself through others, or nil.
func (a *auditor) circle(def *syntax.DefStmt) []edge {
	came := map[*syntax.DefStmt]edge{}
	from := map[*syntax.DefStmt]*syntax.DefStmt{}
	queue := []*syntax.DefStmt{def}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range a.edges[at] {
			if e.to == def {
				path := []edge{e}
				for ; at != def; at = from[at] {
					path = append(path, came[at])
				}
				slices.Reverse(path)
				return path
			}
			if _, seen := came[e.to]; !seen {
				came[e.to], from[e.to] = e, at
				queue = append(queue, e.to)
			}
		}
	}
	return nil
}
