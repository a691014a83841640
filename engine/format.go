package engine

import (
	"fmt"
	"slices"

	"github.com/bazelbuild/buildtools/build"
	"go.starlark.net/syntax"
)

// format formats statements as buildifier does. The formatter reads another Starlark, without tabs
// and bytes. If it can't read a statement, or would change its meaning, the statement stays as it
// is.
func format(src []byte) []byte {
	file, err := build.ParseDefault("", src)
	if err != nil {
		return src
	}
	// Without rewriting: a rewrite sorts lists and arguments, and edits numbers and docstrings.
	formatted := build.FormatWithoutRewriting(file)
	before, err := outline(src)
	if err != nil {
		return src
	}
	after, err := outline(formatted)
	if err != nil || !slices.Equal(before, after) {
		return src
	}
	return formatted
}

// outline lists the nodes of a syntax tree, with everything that matters when the file runs.
func outline(src []byte) ([]string, error) {
	file, err := dialect.Parse("", src, 0)
	if err != nil {
		return nil, err
	}
	var nodes []string
	syntax.Walk(file, func(n syntax.Node) bool {
		detail := ""
		switch n := n.(type) {
		case nil:
			// the end of a node
		case *syntax.Ident:
			detail = n.Name
		case *syntax.Literal:
			detail = fmt.Sprintf("%d %v", n.Token, n.Value)
		case *syntax.UnaryExpr:
			detail = n.Op.String()
		case *syntax.BinaryExpr:
			detail = n.Op.String()
		case *syntax.AssignStmt:
			detail = n.Op.String()
		case *syntax.BranchStmt:
			detail = n.Token.String()
		case *syntax.Comprehension:
			detail = fmt.Sprint(n.Curly)
		}
		nodes = append(nodes, fmt.Sprintf("%T %s", n, detail))
		return true
	})
	return nodes, nil
}
