package engine

import (
	"fmt"

	"go.starlark.net/syntax"
)

// What a file may nest. The parser bounds brackets and blocks by itself, but not what grows to one
// side: an elif is an if in the else of the one before, a + b + c is two sums. The compiler takes
// time that grows with the square of these, and neither a deadline nor a limit of steps reaches it:
// 1 MiB of "if 1" in a comprehension takes it two minutes.
const (
	maxDepth   = 4000 // of the syntax tree
	maxClauses = 100  // of a comprehension
)

// checkNesting refuses a file that the compiler could not get through in good time.
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
