package engine

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"
)

// Summary describes a file for a reader. It is made without running the file.
type Summary struct {
	Functions map[string]FunctionSummary // by the top-level variable that holds them
	Values    map[string]string          // of other top-level variables: the source text
}

// FunctionSummary describes one function.
type FunctionSummary struct {
	Name  string   // as it is defined
	Doc   string   // its docstring, without indentation
	Calls []string // builtins that it calls, also through other functions: "k8s.get"
}

// Summarize describes a file from its source text. The error says where the text can't be parsed.
func (e *Engine) Summarize(name string, src []byte) (Summary, error) {
	s := Summary{Functions: map[string]FunctionSummary{}, Values: map[string]string{}}
	if err := checkSource(name, src, e.limits.SourceBytes); err != nil {
		return s, err
	}
	file, err := dialect.Parse(name, src, 0)
	if err != nil {
		return s, fmt.Errorf("%s can't be read: %w", name, err)
	}
	defs := map[string]*syntax.DefStmt{}
	for _, stmt := range file.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok {
			defs[def.Name.Name] = def
		}
	}
	lines := splitLines(src)
	for _, stmt := range file.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			s.Functions[stmt.Name.Name] = e.summarizeFunction(stmt, defs)
		case *syntax.AssignStmt:
			variable, ok := stmt.LHS.(*syntax.Ident)
			if !ok {
				continue
			}
			if id, ok := stmt.RHS.(*syntax.Ident); ok && defs[id.Name] != nil {
				s.Functions[variable.Name] = e.summarizeFunction(defs[id.Name], defs)
				continue
			}
			start, end := stmt.RHS.Span()
			s.Values[variable.Name] = cut(lines, start, end)
		}
	}
	return s, nil
}

// cut returns the source between two positions.
func cut(lines []string, start, end syntax.Position) string {
	if int(end.Line) > len(lines) || start.Line < 1 {
		return ""
	}
	some := slices.Clone(lines[start.Line-1 : end.Line])
	last := len(some) - 1
	some[last] = some[last][:columnAt(some[last], int(end.Col))]
	some[0] = some[0][columnAt(some[0], int(start.Col)):]
	return strings.Join(some, "\n")
}

// columnAt is the offset of a column, which counts characters from 1.
func columnAt(line string, column int) int {
	n := 1
	for offset := range line {
		if n == column {
			return offset
		}
		n++
	}
	return len(line)
}

func (e *Engine) summarizeFunction(def *syntax.DefStmt, defs map[string]*syntax.DefStmt) FunctionSummary {
	f := FunctionSummary{Name: def.Name.Name, Doc: docOf(def)}
	seen := map[*syntax.DefStmt]bool{}
	var visit func(*syntax.DefStmt)
	visit = func(def *syntax.DefStmt) {
		if seen[def] {
			return
		}
		seen[def] = true
		syntax.Walk(def, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DotExpr:
				if member := e.member(n); member != "" {
					if !slices.Contains(f.Calls, member) {
						f.Calls = append(f.Calls, member)
					}
					return false
				}
			case *syntax.Ident:
				if other := defs[n.Name]; other != nil {
					visit(other)
				}
			}
			return true
		})
	}
	visit(def)
	slices.Sort(f.Calls)
	return f
}

// docOf returns a function's docstring without its indentation.
func docOf(def *syntax.DefStmt) string {
	if len(def.Body) == 0 {
		return ""
	}
	expr, ok := def.Body[0].(*syntax.ExprStmt)
	if !ok {
		return ""
	}
	literal, ok := expr.X.(*syntax.Literal)
	if !ok || literal.Token != syntax.STRING {
		return ""
	}
	text, _ := literal.Value.(string)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// member returns the name of a module's member, "" for any other expression.
func (e *Engine) member(x *syntax.DotExpr) string {
	switch of := x.X.(type) {
	case *syntax.Ident:
		if e.predeclared.Has(of.Name) {
			return of.Name + "." + x.Name.Name
		}
	case *syntax.DotExpr:
		if module := e.member(of); module != "" {
			return module + "." + x.Name.Name
		}
	}
	return ""
}
