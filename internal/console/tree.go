package console

import (
	"io"
	"strings"
)

// Node is one line of a tree and what is below it.
type Node struct {
	Text     string
	Children []Node
}

// Tree prints a tree, root first.
func Tree(w io.Writer, root Node) error {
	var b strings.Builder
	b.WriteString(Clean(root.Text) + "\n")
	branches(&b, root.Children, "")
	_, err := io.WriteString(w, b.String())
	return err
}

func branches(b *strings.Builder, nodes []Node, indent string) {
	for i, n := range nodes {
		branch, below := "├── ", "│   "
		if i == len(nodes)-1 {
			branch, below = "└── ", "    "
		}
		b.WriteString(indent + branch + Clean(n.Text) + "\n")
		branches(b, n.Children, indent+below)
	}
}
