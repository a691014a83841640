package engine

import (
	"runtime"
	"slices"
	"strings"
	"weak"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A Module is a loaded file. Its values are frozen.
type Module struct {
	name    string
	lines   []string     // split at the line ends that syntax counts
	file    *syntax.File // resolved
	globals starlark.StringDict
	loads   map[*syntax.Ident]loadedName // by the identifier that a load statement binds
}

// A loadedName is where a name bound by a load statement comes from.
type loadedName struct {
	module *Module
	name   string
}

// Name returns the name that the module was loaded under.
func (m *Module) Name() string { return m.name }

// Globals returns the module's variables. The caller must not change the map.
func (m *Module) Globals() starlark.StringDict { return m.globals }

// Get returns the value of a variable, or nil if the module has none of that name.
func (m *Module) Get(name string) starlark.Value {
	if v, ok := m.globals[name]; ok {
		return v
	}
	return nil
}

// holderName is no identifier, so no script can use it.
const holderName = "the module"

// A holder keeps a module in memory as long as one of its functions is. A function holds its
// predeclared names, and the holder is one of these.
type holder struct {
	starlark.NoneType
	module *Module
}

// splitLines splits at the line ends that the scanner counts: \n, \r\n and \r.
func splitLines(src []byte) []string {
	s := strings.ReplaceAll(string(src), "\r\n", "\n")
	return strings.Split(strings.ReplaceAll(s, "\r", "\n"), "\n")
}

// remember makes m available to errors by its name, as long as m or one of its functions is in
// memory.
func (e *Engine) remember(m *Module) {
	p := weak.Make(m)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.loaded[m.name] = append(e.loaded[m.name], p)
	runtime.AddCleanup(m, func(name string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		others := slices.DeleteFunc(e.loaded[name], func(other weak.Pointer[Module]) bool { return other == p })
		if len(others) == 0 {
			delete(e.loaded, name)
			return
		}
		e.loaded[name] = others
	}, m.name)
}

// module returns the newest module in memory that was loaded under name, or nil if there is none.
func (e *Engine) module(name string) *Module {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range slices.Backward(e.loaded[name]) {
		if m := p.Value(); m != nil {
			return m
		}
	}
	return nil
}

// defined returns where a variable gets its value.
func (m *Module) defined(name string) syntax.Position {
	for _, global := range m.file.Module.(*resolve.Module).Globals {
		if global.First.Name == name {
			return global.First.NamePos
		}
	}
	return syntax.Position{}
}

// text returns the source of a top-level function, with the comment lines above it and those at the
// end of its body. The syntax tree attaches the latter to the next statement.
func (m *Module) text(def *syntax.DefStmt) string {
	_, end := def.Span()
	last := int(end.Line)
	for i := last; i < m.nextLine(last); i++ {
		line := m.lines[i]
		if comment := strings.TrimLeft(line, " \t"); comment != line && strings.HasPrefix(comment, "#") {
			last = i + 1
		}
	}
	return m.commentAbove(def.Def) + strings.Join(m.lines[def.Def.Line-1:last], "\n") + "\n"
}

// nextLine returns the number of the line before the statement that follows line, or the number of
// lines.
func (m *Module) nextLine(line int) int {
	for _, stmt := range m.file.Stmts {
		if start, _ := stmt.Span(); int(start.Line) > line {
			return int(start.Line) - 1
		}
	}
	return len(m.lines)
}

// commentAbove returns the comment lines directly above the top-level statement at pos.
func (m *Module) commentAbove(pos syntax.Position) string {
	// The line may be the end of a long string of the statement before.
	above := 0
	for _, stmt := range m.file.Stmts {
		start, end := stmt.Span()
		if start.Line >= pos.Line {
			break
		}
		above = int(end.Line)
	}
	first := int(pos.Line) - 1
	for first > above && strings.HasPrefix(m.lines[first-1], "#") && !strings.HasPrefix(m.lines[first-1], "#!") {
		first--
	}
	if first >= int(pos.Line)-1 {
		return ""
	}
	return strings.Join(m.lines[first:pos.Line-1], "\n") + "\n"
}
