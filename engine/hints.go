package engine

import (
	"maps"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/internal/suggest"
)

const (
	noExceptions = `Starlark has no exceptions: attempt(function, arguments…) returns struct(ok, value, error); fail("message") raises`
	noTypes      = "Starlark has no type annotations: leave them out"
	builtinsOnly = "scripts reach the outside through builtins alone"
	noRecursion  = "Starlark has no recursion: use a loop over a list of what is left to do"
)

// keywordHints are for words that Python knows and Starlark does not, by the first word of the line
// or the word at the error.
var keywordHints = map[string]string{
	"try": noExceptions, "except": noExceptions, "finally": noExceptions, "raise": noExceptions,
	"with":     "Starlark has no with: call the functions one after the other",
	"import":   `nothing is imported: builtins are there already, and load("lib.star", "name") takes from another script`,
	"from":     `nothing is imported: builtins are there already, and load("lib.star", "name") takes from another script`,
	"class":    "Starlark has no classes: use struct(name = value), a dict, and functions",
	"while":    "Starlark has no while: use for _ in range(n), which always ends",
	"is":       "Starlark has no is: compare with == or !=, also with None",
	"global":   "a function can't assign to a variable outside of it: return the value instead",
	"nonlocal": "a function can't assign to a variable outside of it: return the value instead",
	"async":    "Starlark has no async: parallel(function, items) calls a function for many items at once",
	"await":    "Starlark has no await: parallel(function, items) calls a function for many items at once",
	"assert":   `Starlark has no assert: write if not …: fail("message")`,
	"del":      "Starlark has no del: use d.pop(key) or l.remove(value)",
	"yield":    "Starlark has no generators: build a list and return it",
}

// lineHints are for syntax errors in lines that look like this, tried in order.
var lineHints = []struct {
	line *lazyregexp.Regexp
	hint string
}{
	{lazyregexp.New(`\b[fF]["']`), `Starlark has no f-strings: write "… {} …".format(x) or "… %s …" % x`},
	{lazyregexp.New(`^\s*@\w`), "Starlark has no decorators: call the function"},
	{lazyregexp.New(`\bdef\b.*(->|\w\s*:\s*\w+\s*[,=)])`), noTypes},
	{lazyregexp.New(`^\s*[\w.]+\s*:\s*[\w.\[\]]+\s*=`), noTypes},
	{lazyregexp.New(`\bprint\s+["'\w]`), "print is a function: print(…)"},
	{lazyregexp.New(`:=`), "Starlark has no :=: assign in a statement of its own"},
	{lazyregexp.New(`&&|\|\|`), "write and, or, not"},
	{lazyregexp.New(`![^=]`), "write not"},
	{lazyregexp.New(`\+\+|--`), "write += 1 or -= 1"},
	{lazyregexp.New(`<>`), "write !="},
	{lazyregexp.New(`^\s*else\s+if\b`), "write elif"},
	{lazyregexp.New(`\*\*`), "Starlark has no power operator"},
	{lazyregexp.New(`\?`), "write x if condition else y"},
	{lazyregexp.New(`=[^=]+[^=!<>]=[^=]`), "assign one variable a statement"},
}

// nameHints are for undefined names that Python programs are used to.
var nameHints = func() map[string]string {
	m := map[string]string{}
	add := func(hint, names string) {
		for name := range strings.FieldsSeq(names) {
			m[name] = hint
		}
	}
	add("write None", "null nil none NULL")
	add(`write type(x) == "string", "int", "list", "dict", …`, "isinstance issubclass")
	add("use a comprehension: [f(x) for x in items if …]", "map filter iter next")
	add("add in a loop", "sum reduce")
	add("use int(x) or x // n", "round")
	add(builtinsOnly, "open os sys subprocess requests pathlib shutil exec eval input socket threading asyncio importlib")
	add("use log.info, log.warning, log.error", "logging logger")
	add(noExceptions, "Exception BaseException ValueError KeyError RuntimeError TypeError")
	add("there are no classes and no objects of them: pass what is needed as an argument", "self cls super object")
	add("a script is not started by itself: the engine calls its functions", "__name__ __main__ __file__")
	return m
}()

// messageHints are for messages of the parser and the interpreter.
var messageHints = []struct {
	msg  *lazyregexp.Regexp
	hint string
}{
	{lazyregexp.New(`^(for loop|return statement) not within`), "at the top level only def, load and assignments are possible: write it in a function"},
	{lazyregexp.New(`^if statement not within`), "at the top level only def, load and assignments are possible: write it in a function, or as x if condition else y"},
	{lazyregexp.New(`^cannot reassign global`), "a top-level variable is set once: use another name, or a local variable of a function"},
	{lazyregexp.New(`^unexpected EOF in string`), "the string has no end: is the file complete?"},
	{lazyregexp.New(`^unexpected newline in string`), `the string has no end on its line: close it, or use """`},
	{lazyregexp.New(`^got end of file`), "something is not closed: is the file complete?"},
	{lazyregexp.New(`^got string literal, want`), "join strings with +"},
	{lazyregexp.New(`^unindent does not match`), "indent equally, with spaces"},
	{lazyregexp.New(`^excessive nesting`), "some 70 brackets inside each other are possible: is the file damaged?"},
	{lazyregexp.New(`^unknown binary op: string \+`), `write "…" + str(x), or "… %s" % x`},
	{lazyregexp.New(`^got ('[,}]'|for), want ':'$`), "in braces each key has a value: a set is written set([…])"},
	{lazyregexp.New(` does not associate with `), "Starlark does not chain comparisons: write a < b and b < c"},
	{lazyregexp.New(`^got '\*', want primary expression`), "Starlark does not unpack with *: write x[0] and x[1:]"},
	{lazyregexp.New(`^got else, want primary expression`), "an else belongs to an if, and is indented like it: a for has none"},
	{lazyregexp.New(`^local variable \w+ referenced before assignment$`), "what a function assigns is its own, also if a variable outside has the same name: pass values in, and return them"},
	{lazyregexp.New(`called recursively$`), noRecursion},
	{lazyregexp.New(`\bcannot .* frozen (list|hash table|dict|set)`), "top-level variables can't change once the file is loaded: work on a copy, such as list(x) or dict(x)"},
}

var (
	didYouMean  = lazyregexp.New(`^(.*) \(did you mean (.+)\?\)$`)
	undefined   = lazyregexp.New(`^undefined: (\w+)$`)
	wrongKwarg  = lazyregexp.New(`^function (\S+) got an unexpected keyword argument "?(\w+)"?$`)
	wrongCall   = lazyregexp.New(`^function \S+ (accepts|got|missing|called)\b`)
	gotWant     = lazyregexp.New(`^got (identifier|string literal|[a-z]+), want`)
	lastToken   = lazyregexp.New(`(\w+|[fFrRbBuU]*"[^"]*"|[fFrRbBuU]*'[^']*')$`)
	wordAtStart = lazyregexp.New(`^\s*(\w+)`)
)

// hint adds the known hints to x. It is called once for each error.
func (e *Engine) hint(x *Error) {
	// The suggestions of the library come where this package's own would.
	if m := didYouMean.FindStringSubmatch(x.Msg); m != nil {
		x.Msg = m[1]
		x.Advice = append(x.Advice, "did you mean "+m[2]+"?")
		return
	}
	if m := undefined.FindStringSubmatch(x.Msg); m != nil {
		x.Advice = append(x.Advice, e.undefinedHint(m[1])...)
		return
	}
	if m := wrongKwarg.FindStringSubmatch(x.Msg); m != nil {
		if near := suggest.Nearest(m[2], e.params(x.Pos.Filename(), m[1])); near != "" {
			x.Advice = append(x.Advice, "did you mean "+near+"?")
		}
		return
	}
	if isSyntax(x.cause) {
		if hint := pythonHint(x, e.line(x.Pos)); hint != "" {
			x.Advice = append(x.Advice, hint)
			return
		}
	}
	for _, h := range messageHints {
		if h.msg.MatchString(x.Msg) {
			x.Advice = append(x.Advice, h.hint)
			return
		}
	}
}

func isSyntax(err error) bool {
	switch err := err.(type) {
	case syntax.Error, resolve.Error, resolve.ErrorList:
		return true
	case *hinted:
		return isSyntax(err.err)
	}
	return false
}

// pythonHint recognises Python at a syntax error.
func pythonHint(x *Error, line string) string {
	rest := []rune(line)
	rest = rest[min(max(int(x.Pos.Col)-1, 0), len(rest)):]
	for _, text := range []string{string(rest), line} {
		if m := wordAtStart.FindStringSubmatch(text); m != nil && keywordHints[m[1]] != "" {
			return keywordHints[m[1]]
		}
	}
	if !strings.HasPrefix(x.Msg, "got ") && !strings.HasPrefix(x.Msg, "unexpected input") {
		return ""
	}
	for _, h := range lineHints {
		if h.line.MatchString(line) {
			return h.hint
		}
	}
	return ""
}

func (e *Engine) undefinedHint(name string) []string {
	if hint := nameHints[name]; hint != "" {
		return []string{hint}
	}
	names := slices.AppendSeq(slices.Collect(maps.Keys(e.predeclared)), maps.Keys(starlark.Universe))
	if near := suggest.Nearest(name, names); near != "" {
		return []string{"did you mean " + near + "?"}
	}
	return nil
}

// params returns the names of the parameters of a function at the top level of a file.
func (e *Engine) params(file, function string) []string {
	m := e.module(file)
	if m == nil || m.file == nil {
		return nil
	}
	var names []string
	for _, stmt := range m.file.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok && def.Name.Name == function {
			for _, param := range def.Params {
				if p, ok := param.(*syntax.BinaryExpr); ok {
					param = p.X
				}
				if id, ok := param.(*syntax.Ident); ok {
					names = append(names, id.Name)
				}
			}
		}
	}
	return names
}

// moveToTokenStart moves the position of a syntax error from the end of the unexpected token to its
// start. The parser reports the end, because it has read the token.
func moveToTokenStart(x *Error, line string) {
	if !gotWant.MatchString(x.Msg) || strings.HasSuffix(x.Msg, "want primary expression") {
		return
	}
	text := []rune(line)
	if i := int(x.Pos.Col) - 1; i > 0 && i <= len(text) {
		token := lastToken.FindString(string(text[:i]))
		x.Pos.Col -= int32(len([]rune(token)))
	}
}
