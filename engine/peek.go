package engine

import (
	"bytes"
	"slices"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// peekLines bounds the statement that Peek reads.
const peekLines = 20_000

// Peek returns the value of a variable from the first statement of a file. It neither loads the
// file nor reads further. The statement must have the form that Extract writes: literals, lists, and
// calls of the named constructors with such arguments. ok is false for any other file; only Load
// can read that.
func (e *Engine) Peek(src []byte, variable string, constructors ...string) (value starlark.Value, ok bool) {
	statement, ok := firstStatement(src, variable)
	if !ok || len(src) > e.limits.SourceBytes {
		return nil, false
	}
	expr, err := dialect.ParseExpr("", statement, 0)
	if err != nil || !literalOnly(expr, constructors) {
		return nil, false
	}
	env := starlark.StringDict{}
	for _, name := range constructors {
		env[name] = e.predeclared[name]
	}
	thread := &starlark.Thread{Name: "peek"}
	thread.SetMaxExecutionSteps(e.limits.Steps)
	value, err = starlark.EvalExprOptions(dialect, thread, expr, env)
	return value, err == nil
}

// firstStatement returns the text after "variable = ", if the file begins with such a statement.
// The statement ends with its first line, or with the first line that is only a closing bracket.
func firstStatement(src []byte, variable string) ([]byte, bool) {
	for {
		line, rest, more := bytes.Cut(src, []byte("\n"))
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && line[0] != '#' {
			break
		}
		if !more {
			return nil, false
		}
		src = rest
	}
	body, ok := bytes.CutPrefix(src, []byte(variable+" = "))
	if !ok {
		return nil, false
	}
	end := 0
	for range peekLines {
		next := bytes.IndexByte(body[end:], '\n')
		if next < 0 {
			return body, true
		}
		line := bytes.TrimRight(body[end:end+next], " \t\r")
		if end == 0 && bytes.HasSuffix(line, []byte(")")) || end > 0 && bytes.Equal(line, []byte(")")) {
			return body[:end+next], true
		}
		end += next + 1
	}
	return nil, false
}

// literalOnly reports whether an expression has only literals and calls of constructors.
func literalOnly(x syntax.Expr, constructors []string) bool {
	switch x := x.(type) {
	case *syntax.Literal:
		return true
	case *syntax.Ident:
		return x.Name == "None" || x.Name == "True" || x.Name == "False"
	case *syntax.ListExpr:
		return !slices.ContainsFunc(x.List, func(item syntax.Expr) bool { return !literalOnly(item, constructors) })
	case *syntax.CallExpr:
		if fn, ok := x.Fn.(*syntax.Ident); !ok || !slices.Contains(constructors, fn.Name) {
			return false
		}
		for _, arg := range x.Args {
			if named, ok := arg.(*syntax.BinaryExpr); ok && named.Op == syntax.EQ {
				arg = named.Y
			}
			if !literalOnly(arg, constructors) {
				return false
			}
		}
		return true
	}
	return false
}

// Plain reports whether the first statement of a file assigns to a variable and has only numbers,
// brackets, words, and strings without escapes. In such a statement, each string value appears in
// quotes in the source. Plain takes a tenth of the time of Peek.
func Plain(src []byte, variable string, words ...string) bool {
	statement, ok := firstStatement(src, variable)
	if !ok {
		return false
	}
	for i := 0; i < len(statement); {
		switch c := statement[i]; {
		case c == '"' || c == '\'':
			end := bytes.IndexByte(statement[i+1:], c)
			if end < 0 || bytes.ContainsAny(statement[i+1:i+1+end], "\\\r\n") {
				return false
			}
			i += end + 2
		case isWord(c):
			end := i + 1
			for end < len(statement) && (isWord(statement[end]) || '0' <= statement[end] && statement[end] <= '9') {
				end++
			}
			if !slices.Contains(words, string(statement[i:end])) {
				return false
			}
			i = end
		case '0' <= c && c <= '9' || bytes.IndexByte([]byte(" \n(),=[]"), c) >= 0:
			i++
		default:
			return false
		}
	}
	return true
}

func isWord(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
