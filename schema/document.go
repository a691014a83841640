package schema

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/internal/suggest"
)

// Document is one map of a scenario file.
type Document struct {
	File string
	Path string // the keys that lead to it, as [Problem.Key] names them; may be empty
	Node *yaml.Node
}

// Documents finds the maps of a scenario file. Root names the key that holds the fields ("" when
// they are at the top), list tells that the file is a list of such maps. Its errors are [Problems].
func Documents(file string, data []byte, root string, list bool) ([]Document, error) {
	node, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	c := &checker{file: file}
	var docs []Document
	switch {
	case !list:
		docs = c.document(docs, node, root, "", false)
	case node.Kind != yaml.SequenceNode:
		c.bad(node, "", "got %s, want a list of maps: start each with \"- \"", describe(node))
	case len(node.Content) == 0:
		c.bad(node, "", "got an empty list, want a list of maps")
	default:
		for i, n := range node.Content {
			docs = c.document(docs, n, root, fmt.Sprintf("[%d]", i), true)
		}
	}
	c.problems.Sort()
	if err := c.problems.Err(); err != nil {
		return nil, err
	}
	return docs, nil
}

func (c *checker) document(docs []Document, node *yaml.Node, root, path string, list bool) []Document {
	node = target(node)
	if node.Kind != yaml.MappingNode {
		want := "a map"
		if root != "" {
			want = fmt.Sprintf("a map with the key %q", root)
		}
		c.bad(node, path, "got %s, want %s", describe(node), want)
		return docs
	}
	if root == "" {
		return append(docs, Document{c.file, path, node})
	}
	if list && !c.wrapped(node, root) {
		return append(docs, Document{c.file, path, node})
	}
	inner := (*yaml.Node)(nil)
	for _, p := range c.pairs(node, path) {
		if p.name == root {
			inner = p.value
			continue
		}
		if anchored(p, []string{root}) || remark(p, []string{root}) {
			continue
		}
		c.unknown(p, join(path, p.name), []string{root}, []string{root})
	}
	path = join(path, root)
	switch {
	case inner == nil:
		c.bad(node, path, "missing; want a map with the scenario's keys")
	case inner.Kind != yaml.MappingNode:
		c.bad(inner, path, "got %s, want a map with the scenario's keys", describe(inner))
	default:
		docs = append(docs, Document{c.file, path, inner})
	}
	return docs
}

// wrapped reports whether an element of a list holds its keys under the root key, or was meant to.
// Krkn reads any other element as the keys themselves.
func (c *checker) wrapped(node *yaml.Node, root string) bool {
	var quiet checker // the problems of the keys are reported by whoever reads them
	pairs := quiet.pairs(node, "")
	return len(pairs) == 0 || slices.ContainsFunc(pairs, func(p pair) bool { return p.name == root || suggest.Nearest(p.name, []string{root}) != "" })
}

// anchored reports whether an unknown key only holds what aliases elsewhere in the file repeat: it
// has an anchor, or what is in it has. A near miss of a known key is a mistake all the same.
func anchored(p pair, known []string) bool {
	return Anchored(p.value) && suggest.Nearest(p.name, known) == ""
}

// Anchored reports whether a value or something in it has an anchor. Aliases are not followed: what
// they stand for has its anchor elsewhere.
func Anchored(n *yaml.Node) bool {
	return n.Anchor != "" || slices.ContainsFunc(n.Content, Anchored)
}

// remarks are keys that people write for people. No scenario would mean something else by them.
var remarks = map[string]bool{"description": true, "comment": true, "comments": true, "name": true, "note": true, "notes": true, "title": true}

// remark reports whether an unknown key holds text for people.
func remark(p pair, known []string) bool {
	return remarks[p.name] && p.value.Kind == yaml.ScalarNode && suggest.Nearest(p.name, known) == ""
}

// Check reads the document: [Check], with keys named from the top of the file.
func (d Document) Check(fields map[string]Field) (map[string]any, Problems) {
	values, c := check(d.File, d.Node, d.Path, fields)
	return values, c.problems
}

// Unused are the keys that are set and have no effect ([Field.Unused]), each with the reason.
func (d Document) Unused(fields map[string]Field) Problems {
	_, c := check(d.File, d.Node, d.Path, fields)
	return c.unused
}
