package runner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/scripts"
)

// A slip is a name in which one letter too many is a mistake.
type slip struct {
	line, col int // of the name
	length    int
	what      string
}

// parsed are the scripts that come with ebb, by path.
type parsed map[string]*syntax.File

func parseScripts(t *testing.T) parsed {
	t.Helper()
	all := parsed{}
	for path, file := range copyScripts(t) {
		if !strings.HasSuffix(path, ".star") {
			continue
		}
		f, err := (&syntax.FileOptions{Set: true}).Parse(path, file.Data, 0)
		if err != nil {
			t.Fatal(err)
		}
		all[path] = f
	}
	return all
}

// function finds a function by the name that it has in a file.
func (p parsed) function(path, name string) (string, *syntax.DefStmt) {
	for _, stmt := range p[path].Stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			if stmt.Name.Name == name {
				return path, stmt
			}
		case *syntax.LoadStmt:
			for i, to := range stmt.To {
				if to.Name == name {
					return p.function(stmt.ModuleName(), stmt.From[i].Name)
				}
			}
		}
	}
	return "", nil
}

// reached are functions, by file.
type reached map[string]map[*syntax.DefStmt]bool

// reach adds a function, and those that it names.
func (p parsed) reach(found reached, path string, def *syntax.DefStmt) {
	if def == nil || found[path][def] {
		return
	}
	if found[path] == nil {
		found[path] = map[*syntax.DefStmt]bool{}
	}
	found[path][def] = true
	syntax.Walk(def, func(n syntax.Node) bool {
		if id, ok := n.(*syntax.Ident); ok {
			in, named := p.function(path, id.Name)
			p.reach(found, in, named)
		}
		return true
	})
}

// entries returns the functions that a run calls, and those that they call.
func (p parsed) entries() reached {
	found := reached{}
	for path := range p {
		if strings.HasPrefix(path, "lib/") {
			continue
		}
		for _, name := range []string{"run", "check", "between", "effect"} {
			in, def := p.function(path, name)
			p.reach(found, in, def)
		}
	}
	return found
}

// undos returns the functions of which undos and their verifies are made.
func (p parsed) undos() reached {
	found := reached{}
	add := func(path string, def *syntax.DefStmt) { p.reach(found, path, def) }
	for path, file := range p {
		syntax.Walk(file, func(n syntax.Node) bool {
			call, ok := n.(*syntax.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fn.(*syntax.Ident); !ok || id.Name != "set_rollback_callable" {
				return true
			}
			for i, arg := range call.Args {
				if named, ok := arg.(*syntax.BinaryExpr); ok && named.Op == syntax.EQ && named.X.(*syntax.Ident).Name == "verify" {
					arg = named.Y
				} else if i > 0 {
					continue
				}
				if id, ok := arg.(*syntax.Ident); ok {
					add(p.function(path, id.Name))
				}
			}
			return true
		})
	}
	return found
}

// slips returns the names of one class in the functions of a file. A builtin is chosen if it is one
// of a cloud's, and which cloud that is shows only in a run.
func (p parsed) slips(path, class string, functions map[*syntax.DefStmt]bool) []slip {
	var all []slip
	add := func(def *syntax.DefStmt, id *syntax.Ident) {
		all = append(all, slip{int(id.NamePos.Line), int(id.NamePos.Col), len(id.Name), fmt.Sprintf("%s: %s %s", def.Name.Name, class, id.Name)})
	}
	for def := range functions {
		syntax.Walk(def, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.DotExpr:
				root := n.X
				for dot, ok := root.(*syntax.DotExpr); ok; dot, ok = root.(*syntax.DotExpr) {
					root = dot.X
				}
				id, ok := root.(*syntax.Ident)
				switch {
				case !ok:
				case class == "chosen" && id.Name == "api":
					add(def, n.Name)
				case class == "builtin" && slices.Contains([]string{"k8s", "cloud", "log", "json", "yaml", "base64", "time"}, id.Name):
					add(def, n.Name)
					return false // of cloud.aws.start one name at a time can be wrong
				case class == "config" && n.X == root && id.Name == "config" && !strings.HasPrefix(path, "lib/"):
					add(def, n.Name)
				case class == "field" && n.X == root && (id.Name == "content" || id.Name == "rollback_content"):
					add(def, n.Name)
				}
			case *syntax.CallExpr:
				for _, arg := range n.Args {
					if named, ok := arg.(*syntax.BinaryExpr); class == "argument" && ok && named.Op == syntax.EQ && !p.data(path, n.Fn) {
						add(def, named.X.(*syntax.Ident))
					}
				}
			}
			return true
		})
	}
	slices.SortFunc(all, func(a, b slip) int { return cmp.Or(a.line-b.line, a.col-b.col) })
	return slices.Compact(all)
}

// data reports whether a function takes arguments of any name: they are data.
func (p parsed) data(path string, fn syntax.Expr) bool {
	id, ok := fn.(*syntax.Ident)
	if !ok {
		return false
	}
	if slices.Contains([]string{"struct", "RollbackContent", "dict"}, id.Name) {
		return true
	}
	_, def := p.function(path, id.Name)
	return def != nil && slices.ContainsFunc(def.Params, func(param syntax.Expr) bool {
		rest, ok := param.(*syntax.UnaryExpr)
		return ok && rest.Op == syntax.STARSTAR
	})
}

// users returns the scripts that load a file, or are it.
func (p parsed) users(path string) []string {
	var all []string
	for _, user := range slices.Sorted(maps.Keys(p)) {
		if user == path || p.loads(user, path) {
			all = append(all, user)
		}
	}
	// What is loaded knows less of it than what loads it: the roots are enough.
	return slices.DeleteFunc(all, func(user string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return other != user && p.loads(other, user) })
	})
}

func (p parsed) loads(path, file string) bool {
	return slices.ContainsFunc(p[path].Stmts, func(stmt syntax.Stmt) bool {
		load, ok := stmt.(*syntax.LoadStmt)
		return ok && (load.ModuleName() == file || p.loads(load.ModuleName(), file))
	})
}

// misspell puts a letter behind each name. It returns where the names are then, as positions have
// it.
func misspell(data []byte, all []slip) ([]byte, map[[2]int]slip) {
	lines := strings.SplitAfter(string(data), "\n")
	at := map[[2]int]slip{}
	line, shift := 0, 0
	for _, s := range all {
		if s.line != line {
			line, shift = s.line, 0
		}
		text := lines[s.line-1]
		end := s.col - 1 + shift + s.length
		lines[s.line-1] = text[:end] + "q" + text[end:]
		at[[2]int{s.line, s.col + shift}] = s
		shift++
	}
	return []byte(strings.Join(lines, "")), at
}

// TestMisspelt misspells each builtin, argument and content field of the undos and verifies of all
// scripts, and each builtin, argument and key of scenario files in what a run calls, and finds each
// without running any of it: a run checks its scripts and version files so before the chaos, and
// check-rollback checks scripts so.
func TestMisspelt(t *testing.T) {
	r, p := newRunner(t), parseScripts(t)
	contracts := map[string]engine.Contract{} // by script
	for path := range p {
		contracts[path] = scriptContract
		if s, err := r.loadScript(t.Context(), ScriptDir{Name: "built-in", FS: scripts.FS}, path); err == nil {
			contracts[path] = contractOf(s.Fields)
		}
	}
	inUndos, inRuns := p.undos(), p.entries()
	for path, functions := range inRuns {
		maps.DeleteFunc(functions, func(def *syntax.DefStmt, _ bool) bool { return inUndos[path][def] })
	}
	undos := misspellAll(t, r, p, contracts, inUndos, "builtin", "chosen", "argument", "field")
	runs := misspellAll(t, r, p, contracts, inRuns, "builtin", "chosen", "argument", "config")
	if undos < 300 || runs < 300 {
		t.Errorf("only %d and %d names were misspelt: is this test blind?", undos, runs)
	}
	t.Logf("figures: %d names of builtins, arguments and fields of undos, and %d of runs, each misspelt", undos, runs)
}

// misspellAll misspells the names of some classes in functions, and returns how many.
func misspellAll(t *testing.T, r *Runner, p parsed, contracts map[string]engine.Contract, all reached, classes ...string) (count int) {
	for path, functions := range all {
		for _, class := range classes {
			all := p.slips(path, class, functions)
			if len(all) == 0 {
				continue
			}
			count += len(all)
			changed := copyScripts(t)
			var at map[[2]int]slip
			changed[path].Data, at = misspell(changed[path].Data, all)
			users := p.users(path)
			if class == "builtin" || class == "argument" {
				users = users[:1] // whoever loads a file, all of it is looked at
			}
			for _, user := range users {
				for _, d := range r.engine.CheckScript(builtins.WithSession(t.Context(), r.initSession()), changed, user, contracts[user]) {
					if !d.Warning && d.Pos.Filename() == path {
						delete(at, [2]int{int(d.Pos.Line), int(d.Pos.Col)})
					}
				}
			}
			for _, s := range at {
				t.Errorf("%s:%d: %s with a letter too many was not found", path, s.line, s.what)
			}
		}
	}
	return count
}
