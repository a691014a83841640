package runner

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is longer is split.
const (
	mostFileLines = 400
	mostFuncLines = 80
)

// TestSizes: a file and a function are short enough to be read at once.
func TestSizes(t *testing.T) {
	root := ".."
	check := func(name string, lines, most int) {
		if lines > most {
			t.Errorf("%s has %d lines, want at most %d", name, lines, most)
		}
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "../")
		check(name, strings.Count(string(src), "\n"), mostFileLines)
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				check(name+" "+f.Name.Name, set.Position(f.End()).Line-set.Position(f.Pos()).Line+1, mostFuncLines)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
