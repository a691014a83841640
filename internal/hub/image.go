package hub

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// A form says how a variable becomes a YAML value.
type form int

const (
	asYAML  form = iota // text of YAML, as envsubst puts it into a template; nothing is null
	asText              // a string, whatever it looks like
	asList              // strings, separated by commas, or a list of YAML, as krkn-hub's documents have it
	asItems             // values of YAML, likewise
	asBlock             // text of YAML whose first line is indented as its others are
	asTrue              // whether it is the word true, in any case; all other words are false
	unused              // declared by the image, which does nothing with it
)

// A variable is an environment variable of an image.
type variable struct {
	name, value string // and its default
	path        string // where it goes: keys and indices, separated by dots
	form        form
}

// An image is an image of krkn-hub.
type image struct {
	name         string
	scenarioType string
	help         string
	variables    []variable
	finish       func(e *environment, document *yaml.Node) error // what is no plain variable; nil for nothing
}

// environment has the environment variables that an image is run with.
type environment struct {
	image        *image
	get          func(string) string
	scenarioType string
}

// value returns a variable's value, or its default.
func (e *environment) value(name string) string {
	if value := e.get(name); value != "" {
		return value
	}
	for _, v := range slices.Concat(e.image.variables, common) {
		if v.name == name {
			return v.value
		}
	}
	return ""
}

// set puts a value into a document, and makes the maps and lists of its path.
func set(document *yaml.Node, path string, value *yaml.Node) {
	n := document
	for step := range strings.SplitSeq(path, ".") {
		index, err := strconv.Atoi(step)
		switch {
		case err == nil:
			n.Kind = yaml.SequenceNode
			for len(n.Content) <= index {
				n.Content = append(n.Content, &yaml.Node{})
			}
			n = n.Content[index]
		default:
			n.Kind = yaml.MappingNode
			at := keyAt(n, step)
			if at < 0 {
				n.Content = append(n.Content, text(step), &yaml.Node{})
				at = len(n.Content) - 2
			}
			n = n.Content[at+1]
		}
	}
	*n = *value
}

// keyAt returns the index of a key in the content of a map, or -1. The content is keys and values
// in turn, and a value may be equal to a key: a namespace called ingress.
func keyAt(n *yaml.Node, name string) int {
	for at := 0; at < len(n.Content); at += 2 {
		if n.Content[at].Value == name {
			return at
		}
	}
	return -1
}

// drop removes a key of a map from a document.
func drop(document *yaml.Node, path ...string) {
	n := document
	for i, step := range path {
		if index, err := strconv.Atoi(step); err == nil {
			n = n.Content[index]
			continue
		}
		at := keyAt(n, step)
		if at < 0 {
			return
		}
		if i == len(path)-1 {
			n.Content = slices.Delete(n.Content, at, at+2)
			return
		}
		n = n.Content[at+1]
	}
}

// elsewhere matches text that the YAML library writes as a plain string, and that Python and ebb
// read as a boolean or as a number with base 60.
var elsewhere = lazyregexp.New(`^((?i)yes|no|on|off|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)$`)

func text(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	if elsewhere.MatchString(value) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func list(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

// parsed reads one YAML value. Anchors, tags and further documents are refused, since they would be
// more than a value in a template.
func parsed(value string) (*yaml.Node, error) {
	if strings.TrimSpace(value) == "" {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: ""}, nil
	}
	var document yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(value))
	if err := decoder.Decode(&document); err != nil || len(document.Content) != 1 {
		return nil, fmt.Errorf("got %q, want a value of YAML", value)
	}
	if decoder.Decode(&yaml.Node{}) == nil {
		return nil, fmt.Errorf("got %q, want one value of YAML", value)
	}
	n := document.Content[0]
	return n, plain(n)
}

// plain refuses aliases and anchors, and removes comments.
func plain(n *yaml.Node) error {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return fmt.Errorf("got an anchor or an alias of YAML (%s%s), want a plain value", n.Anchor, n.Value)
	}
	for _, child := range n.Content {
		if err := plain(child); err != nil {
			return err
		}
	}
	return nil
}

// blockIndent is how far a template indents a value that may have several lines. The other lines of
// such a value have to be indented by the same amount.
const blockIndent = "    "

// node makes the value of a variable.
func (v variable) node(value string) (*yaml.Node, error) {
	switch v.form {
	case asText:
		return text(strings.TrimSpace(value)), nil
	case asBlock:
		return parsed(blockIndent + value)
	case asTrue:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(strings.EqualFold(strings.TrimSpace(value), "true"))}, nil
	case asList, asItems:
		if strings.HasPrefix(strings.TrimSpace(value), "[") {
			return v.listOf(value)
		}
		all := list()
		// As in the shell, a comma at the end begins no item.
		value = strings.TrimSuffix(strings.TrimSpace(value), ",")
		for item := range strings.SplitSeq(value, ",") {
			if value == "" {
				break
			}
			n := text(strings.TrimSpace(item))
			if v.form == asItems {
				var err error
				if n, err = parsed(item); err != nil {
					return nil, err
				}
			}
			all.Content = append(all.Content, n)
		}
		return all, nil
	}
	return parsed(value)
}

// listOf reads a list of YAML.
func (v variable) listOf(value string) (*yaml.Node, error) {
	all, err := parsed(value)
	if err != nil {
		return nil, err
	}
	for i, item := range all.Content {
		if v.form == asList && item.Kind == yaml.ScalarNode {
			all.Content[i] = text(strings.TrimSpace(item.Value))
		}
	}
	return all, nil
}

// fill puts the values of variables into a document.
func (e *environment) fill(variables []variable, document *yaml.Node) error {
	for _, v := range variables {
		if v.form == unused || v.path == "" {
			continue
		}
		n, err := v.node(e.value(v.name))
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		set(document, v.path, n)
	}
	return nil
}

func encode(document *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(document); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}
