package runner_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestPublicAPI: no type of an internal package is in what other programs see of the packages that they
// are to use. They could not name it.
func TestPublicAPI(t *testing.T) {
	for _, pkg := range []string{
		"runner", "supervisor", "engine", "schema", "scripts", "versions", "versions/clusterstore", "versions/mirror",
	} {
		names, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pkg), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		set, internals := token.NewFileSet(), map[string]bool{} // by the file and the name in it
		var files []*ast.File
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
			for _, imp := range file.Imports {
				path, err := strconv.Unquote(imp.Path.Value)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(path, "/internal/") {
					internals[name+" "+nameOf(imp, path)] = true
				}
			}
		}
		p, err := doc.NewFromFiles(set, files, pkg) // which leaves only what is exported
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, decl := range declarations(p) {
			found++
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec: // a value may be made of one
					n.Values = nil
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && internals[set.Position(n.Pos()).Filename+" "+x.Name] {
						t.Errorf("%s: package %s shows %s.%s, which is internal", set.Position(n.Pos()), pkg, x.Name, n.Sel.Name)
					}
				}
				return true
			})
		}
		if found == 0 {
			t.Errorf("package %s: got no declarations", pkg)
		}
	}
}

// nameOf is the name of an imported package in the file.
func nameOf(imp *ast.ImportSpec, path string) string {
	if imp.Name != nil {
		return imp.Name.Name
	}
	return path[strings.LastIndex(path, "/")+1:]
}

// declarations are all that is exported, without the bodies of functions.
func declarations(p *doc.Package) []ast.Node {
	var all []ast.Node
	values := func(list []*doc.Value) {
		for _, v := range list {
			all = append(all, v.Decl)
		}
	}
	funcs := func(list []*doc.Func) {
		for _, f := range list {
			all = append(all, f.Decl.Type)
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs(p.Funcs)
	for _, t := range p.Types {
		all = append(all, t.Decl)
		values(t.Consts)
		values(t.Vars)
		funcs(t.Funcs)
		funcs(t.Methods)
	}
	return all
}
