package engine

import (
	"fmt"

	"go.starlark.net/syntax"
)

// Limits of nesting. The parser limits brackets and blocks itself. It does not limit chains: an elif
// is an if in the else of the one before, and a + b + c is a sum in a sum. The time of the compiler
// grows with the square of their length, and no deadline or step limit applies to it: 1 MiB of
// "if 1" in a comprehension takes two minutes.
const (
	maxDepth   = 4000 // of the syntax tree
	maxClauses = 100  // of a comprehension
)

// checkNesting refuses a file that would take the compiler too long.
func checkNesting(file *syntax.File) error {
	var err error
	refuse := func(n syntax.Node, format string, args ...any) {
		start, _ := n.Span()
		err = &hinted{syntax.Error{Pos: start, Msg: fmt.Sprintf(format, args...)}, "was it generated? divide it into functions"}
	}
	depth := 0
	syntax.Walk(file, func(n syntax.Node) bool {
		switch {
		case err != nil:
			return false
		case n == nil:
			depth--
			return true
		}
		if depth++; depth > maxDepth {
			refuse(n, "nested more than %d deep", maxDepth)
			return false
		}
		if c, ok := n.(*syntax.Comprehension); ok && len(c.Clauses) > maxClauses {
			refuse(n, "%d clauses in a comprehension, at most %d", len(c.Clauses), maxClauses)
			return false
		}
		return true
	})
	return err
}
