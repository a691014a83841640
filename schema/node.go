package schema

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// pair is one key of a map with its value, aliases followed.
type pair struct {
	name  string
	key   *yaml.Node
	value *yaml.Node
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// pairs are the keys of a map in the order of the file, then what merge keys (<<) add. Keys that
// are set twice and keys that are no scalars are problems.
func (c *checker) pairs(node *yaml.Node, path string) []pair {
	var own []pair
	var merged []*yaml.Node
	mergedAt := 0 // its line
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := target(node.Content[i]), target(node.Content[i+1])
		switch {
		case key.Tag == "!!merge":
			if len(merged) > 0 {
				// Of two, Krkn takes the second one, and of the maps of a list the first.
				c.bad(key, join(path, key.Value), "set twice, first in line %d; want a list of both maps", mergedAt)
				continue
			}
			merged, mergedAt = append(merged, value), key.Line
			continue
		case key.Kind != yaml.ScalarNode:
			c.bad(key, path, "got %s as a key, want a string", describe(key))
			continue
		}
		if first, twice := lines[key.Value]; twice {
			c.bad(key, join(path, key.Value), "set twice, first in line %d", first)
			continue
		}
		lines[key.Value] = key.Line
		own = append(own, pair{key.Value, key, value})
	}
	// Keys of the map itself win, then those of the first merged map.
	for len(merged) > 0 {
		from := merged[0]
		merged = merged[1:]
		switch from.Kind {
		case yaml.SequenceNode:
			var all []*yaml.Node
			for _, n := range from.Content {
				all = append(all, target(n))
			}
			merged = append(all, merged...)
		case yaml.MappingNode:
			for _, p := range c.pairs(from, path) {
				if _, set := lines[p.name]; !set {
					lines[p.name] = p.key.Line
					own = append(own, p)
				}
			}
		default:
			c.bad(from, join(path, "<<"), "got %s, want a map to merge", describe(from))
		}
	}
	return own
}

// Pairs are the keys and values of a map, aliases and merge keys followed. Its own keys come first.
func Pairs(node *yaml.Node) (keys, values []*yaml.Node) {
	var c checker // its problems are Check's to report
	for _, p := range c.pairs(target(node), "") {
		keys, values = append(keys, p.key), append(values, target(p.value))
	}
	return keys, values
}

// Lookup returns the node at a path of keys, aliases and merge keys followed, or nil.
func Lookup(node *yaml.Node, path ...string) *yaml.Node {
	var c checker // its problems are Check's to report
	for _, name := range path {
		if node == nil || target(node).Kind != yaml.MappingNode {
			return nil
		}
		pairs := c.pairs(target(node), "")
		node = nil
		for _, p := range pairs {
			if p.name == name {
				node = p.value
			}
		}
	}
	if node == nil {
		return nil
	}
	return target(node)
}

// pythonBools are what PyYAML takes for booleans and the YAML library leaves as strings.
var pythonBools = map[string]bool{
	"yes": true, "Yes": true, "YES": true, "on": true, "On": true, "ON": true,
	"no": false, "No": false, "NO": false, "off": false, "Off": false, "OFF": false,
}

// scalar is the value of a scalar as PyYAML sees it: nil, bool, int64, float64 or string. It
// reports false for a tag that has no plain value.
func scalar(n *yaml.Node) (any, bool) {
	switch n.ShortTag() {
	case "!!null":
		return nil, true
	case "!!bool":
		var b bool
		if n.Decode(&b) != nil {
			return nil, false
		}
		return b, true
	case "!!int", "!!float":
		if v, ok := number(n.Value); ok {
			return v, true
		}
		// Whole numbers beyond 64 bits, infinities, and what an explicit tag claims.
		var f float64
		if n.Decode(&f) != nil {
			return nil, false
		}
		return f, true
	case "!!str":
		if n.Style != 0 {
			return n.Value, true
		}
		if b, ok := pythonBools[n.Value]; ok {
			return b, true
		}
		if v, ok := sixties(n.Value); ok {
			return v, true
		}
		return n.Value, true
	case "!!timestamp", "!!merge":
		// Only Python has a type for the first; the second is "<<" where no key is.
		return n.Value, true
	}
	return nil, false
}

// sixtiesPattern is what PyYAML takes for a number to the base of 60: 1:30 is ninety.
var sixtiesPattern = lazyregexp.New(`^[-+]?[1-9][0-9]{0,9}(:[0-5]?[0-9])+$`)

// sixties reads a number to the base of 60.
func sixties(text string) (int64, bool) {
	if len(text) > 16 || !sixtiesPattern.MatchString(text) {
		return 0, false
	}
	var sum int64
	for digits := range strings.SplitSeq(strings.TrimLeft(text, "+-"), ":") {
		digit, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return 0, false
		}
		sum = sum*60 + digit
	}
	if text[0] == '-' {
		sum = -sum
	}
	return sum, true
}

// number reads a number in any notation of YAML.
func number(text string) (any, bool) {
	var v any
	if err := (&yaml.Node{Kind: yaml.ScalarNode, Value: text}).Decode(&v); err != nil {
		return nil, false
	}
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		return v, !math.IsInf(v, 0) && !math.IsNaN(v)
	}
	return nil, false
}

// describe says what a node is, for errors.
func describe(n *yaml.Node) string {
	n = target(n)
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	v, ok := scalar(n)
	switch v := v.(type) {
	case nil:
		if ok {
			return "nothing"
		}
	case bool:
		return fmt.Sprintf("the boolean %s", n.Value)
	case int64, float64:
		return fmt.Sprintf("the number %s", strings.TrimSpace(n.Value))
	case string:
		return "the string " + show(v)
	}
	return fmt.Sprintf("a value tagged %s", n.ShortTag())
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
