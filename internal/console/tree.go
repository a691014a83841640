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

// Tree prints a tree while it grows: a branch is printed as soon as it is known whether another one
// follows. Begin with [NewTree], end with Close.
type Tree struct {
	w    io.Writer
	last *Node // the branch that was added last
}

// NewTree prints the root of a tree.
func NewTree(w io.Writer, root string) (*Tree, error) {
	_, err := io.WriteString(w, Clean(root)+"\n")
	return &Tree{w: w}, err
}

// Add adds a branch below the root.
func (t *Tree) Add(n Node) error {
	err := t.print("├── ", "│   ")
	t.last = &n
	return err
}

// Close prints the last branch.
func (t *Tree) Close() error { return t.print("└── ", "    ") }

func (t *Tree) print(branch, below string) error {
	if t.last == nil {
		return nil
	}
	var b strings.Builder
	b.WriteString(branch + Clean(t.last.Text) + "\n")
	branches(&b, t.last.Children, below)
	t.last = nil
	_, err := io.WriteString(t.w, b.String())
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
