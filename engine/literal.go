package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// A literal is the source of a value: a word, or a bracketed sequence that is broken into lines
// where it is long.
type literal struct {
	word        string
	open, close string
	items       []item
	oneTuple    bool // (x,)
	width       int  // on one line
}

type item struct {
	prefix string // a key, with what separates it from the value
	value  *literal
}

// A printer makes literals of values. It collects the names that they use: no other thing in the
// file may have such a name.
type printer struct {
	engine *Engine
	nodes  int
	names  map[string]bool
}

// unprintable is the error for a value that has no literal. It says where in the value the reason
// is.
type unprintable struct{ path, what string }

func (u *unprintable) Error() string { return u.path + ": " + u.what }

// lineWidth is the width above which a literal has one item on each line.
const lineWidth = 100

// literal returns the literal of v. path says where v was found, for errors.
func (p *printer) literal(path string, v starlark.Value, depth int) (*literal, error) {
	refuse := func(format string, args ...any) (*literal, error) {
		return nil, &unprintable{path, fmt.Sprintf(format, args...)}
	}
	// A shared value counts each time, because it is printed each time: a dozen nested lists can
	// have a billion items.
	if p.nodes++; p.nodes > p.engine.limits.LiteralNodes {
		return refuse("more than %d values", p.engine.limits.LiteralNodes)
	}
	if depth > p.engine.limits.LiteralDepth {
		return refuse("nested more than %d deep (does it contain itself?)", p.engine.limits.LiteralDepth)
	}
	switch v := v.(type) {
	case interface{ Literal() string }:
		return p.own(path, v.Literal())
	case starlark.NoneType, starlark.Bool:
		return p.named(v.String()), nil
	case starlark.Int:
		return leaf(v.String()), nil
	case starlark.Float:
		f := float64(v)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return refuse("%v has no literal", f)
		}
		s := strconv.FormatFloat(f, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return leaf(s), nil
	case starlark.String:
		if !utf8.ValidString(string(v)) {
			return refuse("a string that is not UTF-8 has no literal")
		}
		return leaf(syntax.Quote(string(v), false)), nil
	case starlark.Bytes:
		// A b"…" literal would do, but the formatter knows none.
		if utf8.ValidString(string(v)) {
			return leaf(p.name("bytes") + "(" + syntax.Quote(string(v), false) + ")"), nil
		}
		numbers := make(starlark.Tuple, len(v))
		for i := range len(v) {
			numbers[i] = starlark.MakeInt(int(v[i]))
		}
		return p.call(path, "bytes", starlark.NewList(numbers), depth)
	case *starlark.List:
		return p.sequence(path, "[", "]", v, depth)
	case starlark.Tuple:
		l, err := p.sequence(path, "(", ")", v, depth)
		if err == nil && len(v) == 1 {
			l.oneTuple = true
			l.width++
		}
		return l, err
	case *starlark.Set:
		if v.Len() == 0 {
			return leaf(p.name("set") + "()"), nil
		}
		return p.call(path, "set", starlark.NewList(elements(v)), depth)
	case *starlark.Dict:
		return p.dict(path, v.Items(), depth)
	case *starlarkstruct.Struct:
		return p.structure(path, v, depth)
	case *starlark.Builtin:
		return refuse("a builtin has no literal: use it by its own name")
	case starlark.Callable:
		return refuse("a function can't be part of a value: name it as one of its own")
	}
	if v.Type() == "range" {
		return leaf(p.name("range") + strings.TrimPrefix(v.String(), "range")), nil
	}
	return refuse("a value of type %s has no literal", v.Type())
}

func leaf(word string) *literal { return &literal{word: word, width: utf8.RuneCountInString(word)} }

func (p *printer) name(name string) string {
	p.names[name] = true
	return name
}

func (p *printer) named(name string) *literal { return leaf(p.name(name)) }

// own returns the literal that a value of the host gives of itself.
func (p *printer) own(path, text string) (*literal, error) {
	expr, err := dialect.ParseExpr(path, text, 0)
	if err != nil {
		return nil, &unprintable{path, fmt.Sprintf("its literal %q is no expression: %v", text, err)}
	}
	syntax.Walk(expr, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok {
			p.names[id.Name] = true
		}
		return true
	})
	return leaf(text), nil
}

func (p *printer) call(path, function string, arg starlark.Value, depth int) (*literal, error) {
	l, err := p.literal(path, arg, depth+1)
	if err != nil {
		return nil, err
	}
	l.open, l.close = p.name(function)+"("+l.open, l.close+")"
	l.width += len(function) + 2
	return l, nil
}

func elements(iterable starlark.Iterable) []starlark.Value {
	var vs []starlark.Value
	for v := range starlark.Elements(iterable) {
		vs = append(vs, v)
	}
	return vs
}

func (p *printer) sequence(path, open, close string, values starlark.Iterable, depth int) (*literal, error) {
	l := &literal{open: open, close: close}
	for i, v := range elements(values) {
		value, err := p.literal(fmt.Sprintf("%s[%d]", path, i), v, depth+1)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item{value: value})
	}
	return l.measured(), nil
}

func (p *printer) dict(path string, items []starlark.Tuple, depth int) (*literal, error) {
	l := &literal{open: "{", close: "}"}
	for i, kv := range items {
		key, err := p.literal(fmt.Sprintf("%s, key %d", path, i), kv[0], depth+1)
		if err != nil {
			return nil, err
		}
		at := fmt.Sprintf("%s[%s]", path, key.line())
		value, err := p.literal(at, kv[1], depth+1)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item{key.line() + ": ", value})
	}
	return l.measured(), nil
}

var identifier = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// isIdentifier reports whether a script can use name as an identifier. Keywords are none, those of
// Python included.
func isIdentifier(name string) bool {
	if !identifier.MatchString(name) {
		return false
	}
	expr, err := dialect.ParseExpr("", name, 0)
	_, ok := expr.(*syntax.Ident)
	return err == nil && ok
}

func (p *printer) structure(path string, s *starlarkstruct.Struct, depth int) (*literal, error) {
	name := "struct"
	var order []string
	if s.Constructor() != starlarkstruct.Default {
		constructor, ok := s.Constructor().(interface{ Name() string })
		if !ok || p.engine.predeclared[constructor.Name()] != s.Constructor() {
			return nil, &unprintable{path, fmt.Sprintf("a struct made by %s, which is no builtin, has no literal", s.Constructor())}
		}
		name = constructor.Name()
		if ordered, ok := constructor.(interface{ FieldOrder() []string }); ok {
			order = ordered.FieldOrder()
		}
	}
	l := &literal{open: p.name(name) + "(", close: ")"}
	var rest []starlark.Tuple // fields that are no identifiers, as the scenario files' keys with dashes
	for _, field := range inOrder(s.AttrNames(), order) {
		v, err := s.Attr(field)
		if err != nil {
			return nil, err
		}
		if !isIdentifier(field) {
			rest = append(rest, starlark.Tuple{starlark.String(field), v})
			continue
		}
		value, err := p.literal(path+"."+field, v, depth+1)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item{field + " = ", value})
	}
	if len(rest) > 0 {
		value, err := p.dict(path, rest, depth+1)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, item{"**", value})
	}
	return l.measured(), nil
}

// inOrder sorts names: first those in order, in that order, then the others.
func inOrder(names, order []string) []string {
	has := map[string]bool{}
	for _, name := range names {
		has[name] = true
	}
	var sorted []string
	for _, name := range order {
		if has[name] {
			sorted = append(sorted, name)
			delete(has, name)
		}
	}
	for _, name := range names {
		if has[name] {
			sorted = append(sorted, name)
		}
	}
	return sorted
}

func (l *literal) measured() *literal {
	l.width = len(l.open) + len(l.close)
	for _, it := range l.items {
		l.width += utf8.RuneCountInString(it.prefix) + it.value.width + len(", ")
	}
	return l
}

// line returns the literal on one line.
func (l *literal) line() string {
	b := new(strings.Builder)
	l.write(b, 0, math.MaxInt)
	return b.String()
}

// write prints the literal. It uses several lines if the literal is wider than the room.
func (l *literal) write(b *strings.Builder, indent, room int) {
	broken := l.width > room && len(l.items) > 0
	b.WriteString(l.open)
	b.WriteString(l.word)
	for i, it := range l.items {
		switch {
		case broken:
			fmt.Fprintf(b, "\n%*s", indent+4, "")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(it.prefix)
		below := room
		if room != math.MaxInt {
			below = lineWidth - indent - 4 - utf8.RuneCountInString(it.prefix)
		}
		it.value.write(b, indent+4, below)
		if broken || l.oneTuple {
			b.WriteString(",")
		}
	}
	if broken {
		fmt.Fprintf(b, "\n%*s", indent, "")
	}
	b.WriteString(l.close)
}

// assignment returns the statement that gives name the literal. A struct has one field a line
// however short it is: that is what people edit.
func (l *literal) assignment(name string) string {
	b := new(strings.Builder)
	b.WriteString(name + " = ")
	room := lineWidth - len(name) - 3
	if strings.HasSuffix(l.open, "(") && l.open != "(" {
		room = 0
	}
	l.write(b, 0, room)
	b.WriteString("\n")
	return b.String()
}
