package builtins_test

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ebb-chaos/ebb/builtins"
)

// The checker, of npm.
const pyright = "pyright@1.1.408"

// installPyright installs the checker below bin, once for all tests of this machine.
func installPyright(t *testing.T) (node, program string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("STUBS NOT CHECKED: the machine has no node")
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("STUBS NOT CHECKED: the machine has no npm")
	}
	dir, err := filepath.Abs(filepath.Join("..", "bin", "."+pyright))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() //nolint:errcheck // nothing was written
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "node_modules", "pyright", "index.js")
	if _, err := os.Stat(program); err == nil {
		return node, program
	}
	install := exec.Command(npm, "install", "--no-audit", "--no-fund", "--omit=optional", "--fetch-retries=0", "--fetch-timeout=20000", "--prefix", dir, pyright)
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("STUBS NOT CHECKED: npm can't install %s: %v\n%s", pyright, err, out)
	}
	return node, program
}

var (
	manualBlock = regexp.MustCompile("(?s)```python\n(.*?)```")
	loads       = regexp.MustCompile(`(?m)^load\(\s*"lib/(\w+)\.star",\s*([^)]*)\)`)
)

// asPython has a script say its loads as Python does: what stands in quotes are names, which a checker
// can't know.
func asPython(script string) string {
	return loads.ReplaceAllStringFunc(script, func(load string) string {
		m := loads.FindStringSubmatch(load)
		names := regexp.MustCompile(`(\w+) = "(\w+)"`).ReplaceAllString(m[2], `"$2 as $1"`)
		return "from lib." + m[1] + " import " + strings.Trim(strings.ReplaceAll(strings.ReplaceAll(names, `"`, ""), "\n", " "), ", ")
	})
}

// unknown are findings that are none, since Python is not Starlark: strings have other methods here, a
// cloud's module is chosen by a value that a checker does not follow, and neither does it follow a
// condition that says that another value is there.
var unknown = regexp.MustCompile(`Attribute "elem(s|_ords)" is unknown|for class "type\[(gcp|aws)\]"|is not a known attribute of "None"` +
	`|Object of type "None" is not subscriptable|"list\[Unknown\]" is not assignable to "str"`)

// TestStubs has pyright check the examples of the manual, what ebb new writes and all built-in scripts
// against the stubs. A mistake that is put into one has to be found.
func TestStubs(t *testing.T) {
	t.Parallel()
	stubs, err := builtins.Stubs()
	if err != nil {
		t.Fatal(err)
	}
	node, program := installPyright(t)
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err = cmp.Or(err, os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("__builtins__.pyi", stubs)
	write("pyrightconfig.json", `{"typeCheckingMode": "basic"}`)
	write("mistake.py", "k8s.get(\"Pod\", 1)\nk8s.got(\"Pod\", \"a\")\nhold(\"soon\")\nset_rollback_callable(None)\n")
	manual, err := os.ReadFile("../docs/scripts.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := manualBlock.FindAllStringSubmatch(string(manual), -1)
	for i, m := range examples {
		write(filepath.Join("manual", string(rune('a'+i))+".py"), m[1])
	}
	files := 0
	for _, pattern := range []string{"../scripts/*.star", "../scripts/lib/*.star", "../cmd/ebb/new/*.star"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name, err := filepath.Rel("../scripts", file)
			if err != nil {
				t.Fatal(err)
			}
			write(strings.TrimSuffix(strings.ReplaceAll(name, "..", "new"), ".star")+".py", asPython(string(content)))
			files++
		}
	}
	if files < 20 || len(examples) < 7 {
		t.Fatalf("got %d scripts and %d examples, want more: is this test blind?", files, len(examples))
	}
	check := exec.Command(node, program, "--outputjson", "--project", dir)
	check.Dir = dir
	check.Env = append(os.Environ(), "PYRIGHT_PYTHON_IGNORE_WARNINGS=1")
	out, err := check.Output()
	var report struct {
		GeneralDiagnostics []struct {
			File, Severity, Message, Rule string
			Range                         struct{ Start struct{ Line int } }
		}
		Summary struct{ FilesAnalyzed int }
	}
	if jsonErr := json.Unmarshal(out, &report); jsonErr != nil {
		t.Fatalf("pyright: %v, %v\n%s", err, jsonErr, out)
	}
	mistakes := map[int]bool{}
	for _, d := range report.GeneralDiagnostics {
		name, err := filepath.Rel(dir, d.File)
		switch {
		case err != nil:
			t.Fatal(err)
		case name == "mistake.py":
			mistakes[d.Range.Start.Line] = true
		case d.Severity != "error" || name != "__builtins__.pyi" && filepath.Dir(name) != "manual" && unknown.MatchString(d.Message):
		default:
			t.Errorf("%s:%d: %s (%s)", name, d.Range.Start.Line+1, d.Message, d.Rule)
		}
	}
	if len(mistakes) != 4 || report.Summary.FilesAnalyzed < files+len(examples) {
		t.Errorf("pyright looked at %d files and found the mistakes in the lines %v, want all 4", report.Summary.FilesAnalyzed, mistakes)
	}
}
