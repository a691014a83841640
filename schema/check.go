package schema

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/internal/suggest"
)

// Check reads a map that [Parse] returned: what is set, checked and converted, and the defaults of
// the rest. The values are complete only when there are no problems.
func Check(file string, node *yaml.Node, fields map[string]Field) (map[string]any, Problems) {
	values, c := check(file, node, "", fields)
	return values, c.problems
}

func check(file string, node *yaml.Node, path string, fields map[string]Field) (map[string]any, *checker) {
	c := &checker{file: file}
	values := map[string]any{}
	if node = target(node); node.Kind == yaml.MappingNode {
		values = c.declared(node, path, fields)
	} else {
		c.bad(node, path, "got %s, want a map", describe(node))
	}
	c.problems.Sort()
	c.unused.Sort()
	return values, c
}

// checker gathers the problems of one file.
type checker struct {
	file     string
	problems Problems
	unused   Problems // keys that are set and have no effect
	secret   int      // fields around the one that is read whose values are not shown
}

// describe says what was found.
func (c *checker) describe(n *yaml.Node) string {
	if c.secret > 0 && target(n).Kind == yaml.ScalarNode && target(n).ShortTag() != "!!null" {
		return "something else"
	}
	return describe(n)
}

// around notes that a field is read, until leave.
func (c *checker) around(f Field) (leave func()) {
	if !f.Secret {
		return func() {}
	}
	c.secret++
	return func() { c.secret-- }
}

func (c *checker) bad(n *yaml.Node, path, format string, args ...any) {
	c.problems = append(c.problems, Problem{File: c.file, Line: n.Line, Key: path, Message: fmt.Sprintf(format, args...)})
}

// unknown reports a key. Known are the names that it may have been meant to be, wanted those to
// choose from.
func (c *checker) unknown(p pair, path string, known, wanted []string) {
	const most = 12 // names that still read as help
	text := "unknown"
	if s := suggest.Nearest(p.name, known); s != "" {
		text += fmt.Sprintf("; did you mean %q?", s)
	} else if len(wanted) <= most {
		text += "; want one of " + list(wanted)
	}
	c.problems = append(c.problems, Problem{File: c.file, Line: p.key.Line, Key: path, Message: text, Unknown: true})
}

// declared reads a map with declared keys.
func (c *checker) declared(node *yaml.Node, path string, fields map[string]Field) map[string]any {
	values := make(map[string]any, len(fields))
	set := map[string]bool{}
	for _, p := range c.pairs(node, path) {
		f, ok := fields[p.name]
		if !ok {
			if known := sorted(fields); !remark(p, known) && (path != "" || !anchored(p, known)) {
				c.unknown(p, join(path, p.name), known, used(fields))
			}
			continue
		}
		set[p.name] = true
		if f.Unused != "" {
			if !absent(p.value) {
				c.unused = append(c.unused, Problem{File: c.file, Line: p.key.Line, Key: join(path, p.name), Message: "not used: " + f.Unused})
			}
			values[p.name] = nil
			continue
		}
		values[p.name] = c.value(p.value, p.key, f, join(path, p.name))
	}
	for _, name := range sorted(fields) {
		if set[name] {
			continue
		}
		f := fields[name]
		if f.Required {
			c.bad(node, join(path, name), "missing; want %s", f.want())
		}
		values[name] = f.Default
	}
	return values
}

// used are the names of the keys that have an effect.
func used(fields map[string]Field) []string {
	return slices.DeleteFunc(sorted(fields), func(name string) bool { return fields[name].Unused != "" })
}

// absent reports whether a value says nothing: null, or the empty string.
func absent(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.Value == "" || n.ShortTag() == "!!null")
}

// value reads the value of a declared key. Where names the line when the value has none to speak
// of.
func (c *checker) value(n, where *yaml.Node, f Field, path string) any {
	defer c.around(f)()
	if unset(n, f) {
		if f.Required {
			c.bad(where, path, "missing; got %s, want %s", c.describe(n), f.want())
		}
		return f.Default
	}
	return c.convert(n, f, path)
}

// unset reports whether a value means that the key isn't set: null, and the empty string where it
// can be no value or where there is a default.
func unset(n *yaml.Node, f Field) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	v, _ := scalar(n)
	switch {
	case n.ShortTag() == "!!null":
		return true
	case v != "":
		return false
	case f.Required || len(f.Enum) > 0 || f.Default != nil:
		return true
	}
	return !f.takes(String, Text, Label, Selector, Any)
}

// element reads a list's element or a free key's value, which can't be left out.
func (c *checker) element(n *yaml.Node, f *Field, path string) any {
	if f == nil {
		return c.plain(n, path)
	}
	defer c.around(*f)()
	switch {
	case n.Kind == yaml.ScalarNode && f.takes(Text, Label): // null and "" are texts, too
	case unset(n, *f) && !f.takes(Any):
		c.bad(n, path, "got %s, want %s", c.describe(n), f.want())
		return nil
	}
	return c.convert(n, *f, path)
}

// What stands in a file that its user, or a program such as envsubst, was to fill in. A text may be
// anything, a shell's variable, too.
var (
	placeholder = lazyregexp.New(`^<[A-Za-z][A-Za-z0-9 ._/|,:()=-]*>$`)
	unexpanded  = lazyregexp.New(`^(\$[A-Z_][A-Z0-9_]*|\$\{[A-Z_][A-Z0-9_]*\}|\{\{[^{}]*\}\})$`)
)

// convert reads a value that is set.
func (c *checker) convert(n *yaml.Node, f Field, path string) any {
	if n.Kind == yaml.ScalarNode && !f.takes(Any) && (placeholder.MatchString(n.Value) || !f.takes(Text) && unexpanded.MatchString(n.Value)) {
		got := show(n.Value)
		if c.secret > 0 {
			got = c.describe(n)
		}
		c.bad(n, path, "still a placeholder: got %s, want %s", got, f.want())
		return nil
	}
	// First without any lenience: "80" for a field that takes numbers and strings is the string.
	for _, lenient := range []bool{false, true} {
		for _, t := range f.types() {
			v, ok := c.as(n, t, f, path, lenient)
			if !ok {
				continue
			}
			if text := f.broken(v); text != "" {
				if c.secret > 0 {
					text = "not a value that is allowed here"
				}
				c.bad(n, path, "%s", text)
			}
			return v
		}
	}
	c.bad(n, path, "got %s, want %s", c.describe(n), f.want())
	return nil
}

// as reads a node as one type. Problems inside lists and maps are reported, and don't make the type
// a wrong one.
func (c *checker) as(n *yaml.Node, t Type, f Field, path string, lenient bool) (any, bool) {
	switch t {
	case Any:
		return c.plain(n, path), true
	case List:
		if n = flow(n, yaml.SequenceNode, lenient); n.Kind != yaml.SequenceNode {
			return nil, false
		}
		all := make([]any, 0, len(n.Content))
		for i, e := range n.Content {
			all = append(all, c.element(target(e), f.Items, fmt.Sprintf("%s[%d]", path, i)))
		}
		return all, true
	case Map:
		if n = flow(n, yaml.MappingNode, lenient); n.Kind != yaml.MappingNode {
			return nil, false
		}
		if f.Fields != nil {
			return c.declared(n, path, f.Fields), true
		}
		all := map[string]any{}
		for _, p := range c.pairs(n, path) {
			if f.Values.labels() {
				c.labelKey(p, path)
			}
			all[p.name] = c.element(p.value, f.Values, join(path, p.name))
		}
		return all, true
	}
	if n.Kind != yaml.ScalarNode {
		return nil, false
	}
	if t == Selector && f.takes(Text) && strings.TrimSpace(n.Value) == "" {
		return nil, false // who takes texts too has a meaning for it
	}
	if t.written() {
		if why := wrong(n.Value, t); why != "" {
			if c.secret > 0 {
				why = ""
			}
			c.bad(n, path, "got %s, want %s%s", c.describe(n), wanted[t], why)
		}
		return n.Value, true
	}
	v, ok := scalar(n)
	if !ok {
		return nil, false
	}
	if s, ok := v.(string); ok && t == String && s != "" && strings.TrimSpace(s) == "" {
		// Not "not set", which it would be taken for sooner or later.
		c.bad(n, path, "got a blank string, want %s", wanted[t])
	}
	return scalarAs(v, n.Value, t, lenient)
}

// flow reads a list or a map that is written as a string, "[a, b]" or "{a: b}": Krkn puts such
// strings into its templates, which are YAML. What is no such string is returned as it is.
func flow(n *yaml.Node, kind yaml.Kind, lenient bool) *yaml.Node {
	if !lenient || n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		return n
	}
	root, err := Parse("", []byte(n.Value))
	if err != nil || root.Kind != kind || root.Style&yaml.FlowStyle == 0 || !onLine(root, n.Line) {
		return n
	}
	return root
}

// onLine sets the line of a node and of those in it. It reports false if there are aliases, for
// which the limits of the whole file would have to be kept.
func onLine(n *yaml.Node, line int) bool {
	n.Line = line
	return n.Kind != yaml.AliasNode && !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !onLine(c, line) })
}

// scalarAs converts a scalar, of which text is what is written.
func scalarAs(v any, text string, t Type, lenient bool) (any, bool) {
	if s, ok := v.(string); ok && lenient && t != String {
		v = loosely(s, t)
	}
	switch v := v.(type) {
	case string:
		return v, t == String
	case bool:
		return v, t == Bool
	case int64:
		switch t {
		case Int, Number:
			return v, true
		case Duration:
			return v, v >= 0 && v <= math.MaxInt64/int64(time.Second)
		case String:
			return text, lenient
		}
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, false
		}
		switch t {
		case Int:
			// Beyond this a float64 no longer holds every whole number.
			return int64(v), lenient && v == math.Trunc(v) && math.Abs(v) <= 1<<53
		case Number:
			return v, true
		case Duration:
			return v, v >= 0 && v <= math.MaxInt64/float64(time.Second)
		case String:
			return text, lenient
		}
	}
	return nil, false
}

// loosely reads quoted text as the value that was meant; text that means none stays text.
func loosely(s string, t Type) any {
	s = strings.TrimSpace(s)
	switch t {
	case Bool:
		switch strings.ToLower(s) {
		case "true", "yes", "on":
			return true
		case "false", "no", "off":
			return false
		}
	case Int, Number, Duration:
		// Decimal first: of quoted text Python makes a number itself, where 010 is ten. Unquoted,
		// to YAML, it is eight.
		if v, err := strconv.ParseInt(s, 10, 64); err == nil {
			return v
		}
		if v, ok := number(s); ok {
			return v
		}
		if d, err := time.ParseDuration(strings.ReplaceAll(s, " ", "")); err == nil && t == Duration {
			if d%time.Second == 0 {
				return int64(d / time.Second)
			}
			return d.Seconds()
		}
	}
	return s
}

// plain reads any value.
func (c *checker) plain(n *yaml.Node, path string) any {
	n = target(n)
	switch n.Kind {
	case yaml.SequenceNode:
		all := make([]any, 0, len(n.Content))
		for i, e := range n.Content {
			all = append(all, c.plain(e, fmt.Sprintf("%s[%d]", path, i)))
		}
		return all
	case yaml.MappingNode:
		all := map[string]any{}
		for _, p := range c.pairs(n, path) {
			all[p.name] = c.plain(p.value, join(path, p.name))
		}
		return all
	}
	v, ok := scalar(n)
	if f, isFloat := v.(float64); !ok || (isFloat && (math.IsInf(f, 0) || math.IsNaN(f))) {
		c.bad(n, path, "got %s, want a plain value", c.describe(n))
		return nil
	}
	return v
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
