package engine

import (
	"fmt"
	"strings"

	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/internal/suggest"
)

// A Signature has the parameters of a function. Check compares calls with it.
type Signature struct {
	Params []Param
	Named  bool // arguments are given by name only
	More   bool // any number of further arguments by position
	Rest   bool // any number of further arguments by name
}

// A Param is one parameter of a function.
type Param struct {
	Name     string
	Required bool
	Named    bool // it is given by name only
}

// Signatures returns the signatures of the engine's own functions.
func Signatures() map[string]Signature {
	return map[string]Signature{
		"attempt":  {Params: []Param{{Name: "fn", Required: true}}, More: true, Rest: true},
		"fail":     {Params: []Param{{Name: "sep", Named: true}}, More: true},
		"parallel": {Params: []Param{{Name: "fn", Required: true}, {Name: "items", Required: true}, {Name: "limit"}}},
		"struct":   {Named: true, Rest: true},
	}
}

// universal are the functions of Starlark itself that take arguments by name.
var universal = map[string]Signature{
	"enumerate": {Params: []Param{{Name: "iterable", Required: true}, {Name: "start"}}},
	"max":       {Params: []Param{{Name: "key", Named: true}}, More: true},
	"min":       {Params: []Param{{Name: "key", Named: true}}, More: true},
	"print":     {Params: []Param{{Name: "sep", Named: true}}, More: true},
	"sorted":    {Params: []Param{{Name: "iterable", Required: true}, {Name: "key"}, {Name: "reverse"}}},
}

// signatureOf is the signature of a function of a script.
func signatureOf(def *syntax.DefStmt) *Signature {
	s := &Signature{}
	named := false
	for _, param := range def.Params {
		switch p := param.(type) {
		case *syntax.Ident:
			s.Params = append(s.Params, Param{Name: p.Name, Required: true, Named: named})
		case *syntax.BinaryExpr:
			s.Params = append(s.Params, Param{Name: p.X.(*syntax.Ident).Name, Named: named})
		case *syntax.UnaryExpr: // *, *args or **kwargs
			named = true
			s.More = s.More || p.Op == syntax.STAR && p.X != nil
			s.Rest = s.Rest || p.Op == syntax.STARSTAR
		}
	}
	return s
}

// arguments are those of one call.
type arguments struct {
	at         syntax.Position
	positional []syntax.Expr
	named      []*syntax.BinaryExpr
	unpacked   bool // with *args or **kwargs, whose content is not known
	elsewhere  bool // the call is made on a stack of its own
}

func argumentsOf(call *syntax.CallExpr) arguments {
	start, _ := call.Span()
	a := arguments{at: start}
	for _, arg := range call.Args {
		switch x := arg.(type) {
		case *syntax.UnaryExpr:
			if x.Op == syntax.STAR || x.Op == syntax.STARSTAR {
				a.unpacked = true
				continue
			}
		case *syntax.BinaryExpr:
			if x.Op == syntax.EQ {
				a.named = append(a.named, x)
				continue
			}
		}
		a.positional = append(a.positional, arg)
	}
	return a
}

// get returns the argument for a parameter, or nil.
func (a arguments) get(s *Signature, param string) syntax.Expr {
	for _, arg := range a.named {
		if arg.X.(*syntax.Ident).Name == param {
			return arg.Y
		}
	}
	for i, p := range s.Params {
		if p.Name == param && !p.Named && i < len(a.positional) {
			return a.positional[i]
		}
	}
	return nil
}

// A misfit is a reason why a call would fail.
type misfit struct {
	pos       syntax.Position
	msg, hint string
}

// misfits compares a call with the signature of what it calls.
func (a arguments) misfits(name string, s *Signature) []misfit {
	var found []misfit
	add := func(pos syntax.Position, hint, format string, args ...any) {
		found = append(found, misfit{pos, name + ": " + fmt.Sprintf(format, args...), hint})
	}
	most := 0
	var names []string
	for _, p := range s.Params {
		names = append(names, p.Name)
		if !p.Named {
			most++
		}
	}
	switch n := len(a.positional); {
	case s.Named && n > 0:
		add(a.start(a.positional[0]), "", "got a positional argument, want name = value")
	case n > most && !s.More:
		add(a.start(a.positional[most]), "", "got %d arguments, want at most %d", n, most)
	}
	given, meant := map[string]bool{}, map[string]bool{}
	for i := 0; i < min(most, len(a.positional)); i++ {
		given[s.Params[i].Name] = true
	}
	for _, arg := range a.named {
		id := arg.X.(*syntax.Ident)
		known := false
		for _, p := range s.Params {
			known = known || p.Name == id.Name
		}
		switch {
		case !known && !s.Rest:
			hint := ""
			if near := suggest.Nearest(id.Name, names); near != "" {
				hint = "did you mean " + near + "?"
				meant[near] = true // one mistake is reported once
			}
			add(id.NamePos, hint, "unexpected keyword argument %q", id.Name)
		case given[id.Name]:
			add(id.NamePos, "", "got the argument %q twice, by position and by name", id.Name)
		}
		given[id.Name] = true
	}
	if a.unpacked {
		// The unpacked arguments may be the missing ones.
		return found
	}
	var missing []string
	for _, p := range s.Params {
		if p.Required && !given[p.Name] && !meant[p.Name] {
			missing = append(missing, p.Name)
		}
	}
	if len(missing) > 0 {
		add(a.at, "", "missing argument for %s", strings.Join(missing, ", "))
	}
	return found
}

// start is the position of an argument, or of the call if the argument has none.
func (a arguments) start(x syntax.Expr) syntax.Position {
	if x == nil {
		return a.at
	}
	pos, _ := x.Span()
	return pos
}
