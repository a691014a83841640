package runner

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

func newRunner(t *testing.T) *Runner {
	t.Helper()
	r, err := New(versions.NewMemory(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// copyScripts returns the scripts that come with ebb, to be changed.
func copyScripts(t *testing.T) fstest.MapFS {
	t.Helper()
	all := fstest.MapFS{}
	err := fs.WalkDir(scripts.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := fs.ReadFile(scripts.FS, path)
		all[path] = &fstest.MapFile{Data: src}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var loadStatement = regexp.MustCompile(`(?m)^load\(\s*"([^"]+)"`)

// loads tells whether a script is another one or loads it, perhaps through a third.
func loads(all fstest.MapFS, script, other string) bool {
	return script == other || slices.ContainsFunc(loadStatement.FindAllSubmatch(all[script].Data, -1), func(m [][]byte) bool {
		return loads(all, string(m[1]), other)
	})
}

// TestScripts finds nothing to say about the scripts that come with ebb, and finds each of some
// mistakes in each of them.
func TestScripts(t *testing.T) {
	r := newRunner(t)
	names, err := fs.Glob(scripts.FS, "*.star")
	if err != nil || len(names) < 8 {
		t.Fatalf("got scripts %q, %v", names, err)
	}
	for _, name := range names {
		dir := ScriptDir{Name: "built-in", FS: scripts.FS}
		if errs, warnings := r.DiagnoseScript(t.Context(), dir, name); len(errs)+len(warnings) > 0 {
			t.Errorf("%s: got errors %v, warnings %v", name, errs, warnings)
		}
	}
	for _, mistake := range []struct{ of, want string }{
		{`\bk8s\.\w+\(`, "k8s has no "},
		{`\blog\.\w+\(`, "log has no "},
		{`\bundoes =`, `unexpected keyword argument "undoesq"`},
		{`\bignore_not_found =`, `unexpected keyword argument "ignore_not_foundq"`},
	} {
		for name, file := range copyScripts(t) {
			loc := regexp.MustCompile(mistake.of).FindIndex(file.Data)
			if loc == nil {
				continue
			}
			word := loc[0] + len(strings.TrimRight(string(file.Data[loc[0]:loc[1]]), " =("))
			all := copyScripts(t)
			all[name].Data = slices.Insert(all[name].Data, word, 'q')
			found := func(errs []error) bool {
				return slices.ContainsFunc(errs, func(err error) bool { return strings.Contains(err.Error(), mistake.want) })
			}
			var ok bool
			if strings.HasPrefix(name, "krkn/") {
				ok = found(translateAll(t, r, all))
			} else {
				ok = slices.ContainsFunc(names, func(script string) bool {
					if !loads(all, script, name) {
						return false
					}
					errs, _ := r.DiagnoseScript(t.Context(), ScriptDir{Name: "changed", FS: all}, script)
					return found(errs)
				})
			}
			if !ok {
				t.Errorf("%s: a mistake in %q at byte %d was not found", name, mistake.of, word)
			}
		}
	}
}
