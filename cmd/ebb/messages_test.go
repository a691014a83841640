package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/urfave/cli/v2"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

var updateMessages = flag.Bool("update-messages", false, "write testdata/messages.golden anew")

// variable is what differs from one test to the next in a message.
var variable = regexp.MustCompile(`(?m)^.*\[WARNING\] versions directory .*\n|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} |ebb-(?:edit|hub-[a-z-]+)-\d+|_scenarios, .*_scenarios$`)

// TestMessages holds what ebb says when something is wrong: every mistake of testdata/messages.txtar,
// and every kind of failure with its hints. Each names a next command. It is no parallel test: it
// changes the working directory.
func TestMessages(t *testing.T) {
	golden, err := filepath.Abs(filepath.Join("..", "..", "testdata", "messages.golden"))
	if err != nil {
		t.Fatal(err)
	}
	var said string
	t.Run("commands", func(t *testing.T) { said = commandMistakes(t) })
	said += failuresOfAllKinds(t)
	if *updateMessages {
		if err := os.WriteFile(golden, []byte(said), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(said, "\n")); d != "" {
		t.Errorf("if it reads well: go test ./cmd/ebb -run TestMessages -update-messages\n%s", d)
	}
	for _, m := range saidCommand.FindAllStringSubmatch(said, -1) {
		if err := understood(m[1]); err != nil {
			t.Errorf("%q is printed, and can't be pasted: %v", m[1], err)
		}
	}
	for _, text := range literals(t, "hints.go", func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ReturnStmt, *ast.CompositeLit:
			return true
		case *ast.CallExpr:
			name, ok := n.Fun.(*ast.Ident)
			return ok && name.Name == "append"
		}
		return false
	}) {
		if len(text) > 12 && !strings.Contains(said, text) {
			t.Errorf("no mistake has the hint %q", text)
		}
	}
}

// saidCommand is a command that is printed, up to what comes after it.
var saidCommand = regexp.MustCompile(`(?m)(?:^hint: |: )(ebb [^;,\n]*)`)

// understood reports whether the parser knows the command and its flags.
func understood(text string) error {
	app := newApp(io.Discard, io.Discard)
	for _, words := range commandsIn(text) {
		args := arrange(app, words)
		if len(args) < 2 || args[1] == "--help" {
			continue
		}
		command := app.Command(args[1])
		if command == nil {
			return fmt.Errorf("no command %q", args[1])
		}
		for _, flag := range typedOf(app, words).flags {
			name, _, _ := strings.Cut(flag, "=")
			if name != "help" && !slices.ContainsFunc(command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) {
				return fmt.Errorf("%s has no flag %q", args[1], name)
			}
		}
	}
	return nil
}

// commandMistakes are the commands of testdata/messages.txtar and what they say.
func commandMistakes(t *testing.T) string {
	archive, err := txtar.ParseFile(filepath.Join("..", "..", "testdata", "messages.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, bytes.ReplaceAll(f.Data, []byte("$WORK"), []byte(dir)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", dir)
	t.Setenv("TMPDIR", dir)
	t.Setenv("KUBECONFIG", filepath.Join(dir, "kubeconfig"))
	t.Setenv("EDITOR", "false")
	var all strings.Builder
	for line := range strings.Lines(string(archive.Comment)) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		if len(words) > 0 && strings.HasPrefix(words[0], "EDITOR=") {
			t.Setenv("EDITOR", strings.TrimPrefix(words[0], "EDITOR="))
			words = words[1:]
		}
		if len(words) == 0 || words[0] != "ebb" {
			continue
		}
		var out bytes.Buffer
		code := ebb(words, &out, &out)
		text := variable.ReplaceAllString(strings.ReplaceAll(out.String(), dir, "$WORK"), "")
		if code == 0 {
			t.Errorf("%s: got the exit code 0, want a mistake:\n%s", line, text)
		}
		if !strings.Contains(text, "hint: ") && !strings.Contains(text, ": ebb ") {
			t.Errorf("%s: it names no next command:\n%s", line, text)
		}
		fmt.Fprintf(&all, "$ %s\n%s(exit code %d)\n\n", line, text, code)
	}
	return all.String()
}

// failuresOfAllKinds are the failures of each kind, as a command and as the result of a file.
func failuresOfAllKinds(t *testing.T) string {
	var b bytes.Buffer
	details := map[string]string{"run_uuid": "168dce4c-fdb4-4e8c-aa5b-7f919777801b", "server": "https://127.0.0.1:6443"}
	for _, kind := range literals(t, filepath.Join("..", "..", "runner", "kind.go"), func(n ast.Node) bool {
		constant, ok := n.(*ast.ValueSpec)
		return ok && len(constant.Names) == 1 && strings.HasPrefix(constant.Names[0].Name, "Kind")
	}) {
		fmt.Fprintf(&b, "# a failure of the kind %s\n", kind)
		bareCaller.report(&b, &runner.Failure{Kind: runner.Kind(kind), Message: "what failed: what was got, what was wanted", Details: details})
		b.WriteByte('\n')
	}
	bareCaller.report(&b, &runner.Failure{
		Kind: runner.KindInsecure, Message: `"/tmp" is a parent directory that others can write to`, Remedies: []string{"mkdir -m 0700 /var/lib/ebb"},
	})
	bareCaller.report(&b, &runner.Failure{Kind: runner.KindStore, Message: "no version file can be written to cluster://ebb/1-a: a quota is used up"})
	bareCaller.report(&b, &config.SafetyError{})
	bareCaller.report(&b, &config.MissingError{})
	file := versions.File{Name: "x_scenarios_1_abcdefgh.star", Location: "/var/lib/ebb/1-a/x_scenarios_1_abcdefgh.star", Kind: versions.KindVersion, State: versions.Pending}
	for _, outcome := range []struct {
		of      string
		outcome runner.Outcome
		failure runner.Failure
	}{
		{"conflict", runner.Conflict, runner.Failure{Kind: runner.KindConflict}},
		{"conflict that can be taken over", runner.Conflict, runner.Failure{Kind: runner.KindConflict, Details: map[string]string{"forcible": "true"}}},
		{"failed", runner.Failed, runner.Failure{Kind: runner.KindScript}},
	} {
		fmt.Fprintf(&b, "\n# a version file with the outcome %s\n", outcome.of)
		for _, hint := range bareCaller.resultHints(runner.Result{File: file, Outcome: outcome.outcome, Err: &outcome.failure}) {
			fmt.Fprintln(&b, "hint: "+hint)
		}
	}
	return b.String()
}

// literals are the strings in the nodes of a file that are chosen, each once, in their order.
func literals(t *testing.T, file string, chosen func(ast.Node) bool) []string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(tree, func(n ast.Node) bool {
		if n == nil || !chosen(n) {
			return true
		}
		ast.Inspect(n, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				text, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(found, text) {
					found = append(found, text)
				}
			}
			return true
		})
		return false
	})
	if len(found) == 0 {
		t.Fatalf("%s: found no strings", file)
	}
	return found
}
