package runner

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ebb-chaos/ebb/"

// allowed is the import graph of the house: what of the module each package's own
// code, tests left out, may import. A package that is not here fails the test.
var allowed = map[string][]string{
	"engine":                   {"internal/suggest", "internal/lazyregexp"},
	"schema":                   {"internal/suggest", "internal/lazyregexp"},
	"scripts":                  {},
	"versions":                 {"internal/durable", "internal/lazyregexp"},
	"versions/storetest":       {"versions"},
	"versions/clusterstore":    {"versions", "internal/kube", "internal/patience", "internal/signature"},
	"versions/mirror":          {"versions"},
	"builtins":                 {"internal/aws", "internal/cloudapi", "internal/gcp", "internal/kube", "schema", "internal/limits", "internal/patience", "internal/permit", "internal/lazyregexp"},
	"runner":                   {"internal/event", "internal/suggest", "engine", "builtins", "versions", "internal/aws", "internal/cloudapi", "internal/gcp", "internal/kube", "schema", "internal/limits", "internal/patience"},
	"cmd/ebb":                  {"internal/event", "internal/hub", "internal/krkn", "engine", "builtins", "versions", "versions/clusterstore", "versions/mirror", "scripts", "runner", "supervisor", "internal/config", "internal/console", "internal/durable", "internal/htmlreport", "internal/killpoint", "internal/kube", "internal/limits", "internal/patience", "internal/snapshot", "internal/worker", "schema", "internal/suggest", "internal/lazyregexp"},
	"supervisor":               {"runner", "versions", "schema", "internal/worker"},
	"internal/worker":          {},
	"internal/aws":             {"internal/cloudapi", "internal/reply", "internal/lazyregexp"},
	"internal/bench":           {"internal/durable", "internal/kube", "runner", "scripts", "supervisor", "versions", "versions/clusterstore", "versions/mirror"},
	"internal/cloudapi":        {"internal/credential", "internal/patience", "internal/permit", "internal/reply"},
	"internal/cloudtest":       {"internal/sandboxtest"},
	"internal/config":          {"schema", "internal/suggest", "versions"},
	"internal/console":         {},
	"internal/credential":      {},
	"internal/htmlreport":      {},
	"internal/lazyregexp":      {},
	"internal/limits":          {},
	"internal/patience":        {},
	"internal/permit":          {},
	"internal/reply":           {},
	"internal/suggest":         {},
	"internal/durable":         {"internal/lazyregexp"},
	"internal/event":           {"internal/kube"},
	"internal/durable/crashfs": {"internal/durable"},
	"internal/durable/errorfs": {"internal/durable"},
	"internal/gcp":             {"internal/cloudapi", "internal/reply", "internal/lazyregexp"},
	"internal/killpoint":       {},
	"internal/hub":             {"internal/lazyregexp"},
	"internal/krkn":            {"internal/lazyregexp"},
	"internal/kube":            {"internal/credential", "internal/limits", "internal/patience", "internal/permit", "internal/reply", "internal/suggest", "internal/lazyregexp"},
	"internal/sandboxtest":     {},
	"internal/signature":       {},
	"internal/snapshot":        {"internal/kube", "internal/lazyregexp"},
}

// CONTRIBUTING.md says what each package does.
func TestMapOfPackages(t *testing.T) {
	doc, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range allowed {
		if !strings.Contains(string(doc), "`"+pkg+"`") {
			t.Errorf("CONTRIBUTING.md: the map of the packages does not have `%s`", pkg)
		}
	}
}

func TestImportGraph(t *testing.T) {
	root := ".."
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || path == filepath.Join(root, "sandbox") || path == filepath.Join(root, "tools") || path == filepath.Join(root, "examples", "embed")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg = filepath.ToSlash(pkg)
		seen[pkg] = true
		may, ok := allowed[pkg]
		if !ok {
			t.Errorf("%s: package %q is not in the import graph of the house", path, pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range file.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			if own, ok := strings.CutPrefix(name, module); ok && !slices.Contains(may, own) {
				t.Errorf("%s imports %s: %s may import only %q", path, own, pkg, may)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range allowed {
		if !seen[pkg] {
			t.Errorf("package %q of the import graph does not exist", pkg)
		}
	}
}
