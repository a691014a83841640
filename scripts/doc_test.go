package scripts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/schema"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

var update = flag.Bool("update", false, "write docs/scenarios.md anew")

const scenariosDoc = "../docs/scenarios.md"

// TestScenariosDoc holds docs/scenarios.md equal to what the scripts declare and say.
func TestScenariosDoc(t *testing.T) {
	holdEqual(t, scenariosDoc, writeDoc(t))
}

// holdEqual fails unless a file is what was made of the scripts; with -update, it is written first.
func holdEqual(t *testing.T, path, made string) {
	t.Helper()
	got := []byte(made)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run: make docs", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the scripts declare, first at line %d: run: make docs", path, firstDifference(got, want))
	}
}

// firstDifference returns the number of the first line in which two texts differ.
func firstDifference(a, b []byte) int {
	x, y := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range min(len(x), len(y)) {
		if !bytes.Equal(x[i], y[i]) {
			return i + 1
		}
	}
	return min(len(x), len(y)) + 1
}

const docHead = `<!-- Written by make docs from the scripts' declarations and docstrings: edit scripts/*.star. -->

# Scenarios

For each scenario type: the keys of its scenario file, what it changes, how that is undone and verified, and the rights that it needs. The
scenario files are Krkn's. Durations are seconds, or text such as "30s", "2m", "1h30m".

The version file of a step is on disk before the step changes anything. Its refs name what the step changes, and its content is the data of
the undo. After the undo, verify reads the cluster. Only then is the file renamed.

`

// builtIn is the library of ebb's own scripts.
func builtIn(t *testing.T) runner.Library {
	t.Helper()
	r, err := runner.New(versions.NewMemory(), runner.Options{Scripts: []runner.ScriptDir{{Name: "built-in", FS: scripts.FS, NamedByType: true}}})
	if err != nil {
		t.Fatal(err)
	}
	library, err := r.Library(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return library
}

func writeDoc(t *testing.T) string {
	t.Helper()
	library := builtIn(t)
	var b strings.Builder
	b.WriteString(docHead)
	for _, kind := range library.Types() {
		fmt.Fprintf(&b, "- [%s](#%s): %s\n", kind, kind, library[kind].Help)
	}
	for _, kind := range library.Types() {
		writeScenario(t, &b, library[kind])
	}
	return b.String()
}

func writeScenario(t *testing.T, b *strings.Builder, s *runner.Script) {
	t.Helper()
	src := parseScript(t, path.Base(s.Name))
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", s.Kind, src.text)

	file := "a map of these keys"
	if s.Root != "" {
		file = fmt.Sprintf("a map with the key `%s`, which holds these keys", s.Root)
	}
	if s.List {
		file = "a list; each element is " + file
	}
	fmt.Fprintf(b, "A scenario file is %s:\n\n| key | type | default | meaning |\n|---|---|---|---|\n", file)
	writeFields(b, src, s.Fields, "")

	fmt.Fprintf(b, "\n**Changes.** %s\n", src.run.doc(t).text)
	b.WriteString("\n| step | refs | the undo | the version file's content | verify |\n|---|---|---|---|---|\n")
	if len(src.steps) == 0 {
		t.Errorf("%s: no call of set_rollback_callable was found", s.Name)
	}
	for i, step := range src.steps {
		undo, verify := step.callable.doc(t), step.verify.doc(t)
		if undo.content == "" {
			t.Errorf("%s: the docstring of %s does not say what its argument holds", s.Name, step.callable.Name.Name)
		}
		fmt.Fprintf(b, "| %d | %s | %s | %s | %s |\n", i+1, strings.Join(step.kinds, ", "), cell(undo.text), cell(undo.content), cell(verify.text))
	}

	b.WriteString("\n**Rights.** ")
	var rights []string
	for _, right := range s.Rights {
		rights = append(rights, fmt.Sprintf("`%s`: %s", right.Resource, strings.Join(right.Verbs, ", ")))
	}
	if len(rights) == 0 {
		rights = []string{"none in the cluster"}
	}
	fmt.Fprintf(b, "%s.\n", strings.Join(rights, "; "))
}

// writeFields writes a row for each key, and for the keys in it.
func writeFields(b *strings.Builder, src *script, fields map[string]schema.Field, prefix string) {
	for _, name := range src.inOrder(slices.Collect(maps.Keys(fields))) {
		f, key := fields[name], prefix+name
		def := "required"
		if !f.Required {
			def = ""
			if f.Default != nil {
				text, err := json.Marshal(f.Default)
				if err != nil {
					text = []byte(err.Error())
				}
				def = "`" + string(text) + "`"
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, typeText(f), def, cell(described(f)))
		writeInner(b, src, f, key)
	}
}

// described is what the last column says of a field.
func described(f schema.Field) string {
	if f.Unused != "" {
		return "not used: " + f.Unused
	}
	return f.Help + limits(f)
}

// writeInner writes the keys that a list's elements or a map's values have.
func writeInner(b *strings.Builder, src *script, f schema.Field, key string) {
	switch {
	case f.Fields != nil:
		writeFields(b, src, f.Fields, key+".")
	case f.Items != nil:
		writeInner(b, src, *f.Items, key+"[]")
	case f.Values != nil:
		writeInner(b, src, *f.Values, key+".*")
	}
}

func typeText(f schema.Field) string {
	types := f.Types
	if len(types) == 0 {
		types = []schema.Type{f.Type}
	}
	var words []string
	for _, t := range types {
		word := string(t)
		switch {
		case t == schema.List && f.Items != nil:
			word = "list of " + typeText(*f.Items)
		case t == schema.Map && f.Values != nil:
			word = "map to " + typeText(*f.Values)
		}
		words = append(words, word)
	}
	return strings.Join(words, " or ")
}

// limits says which values a field takes.
func limits(f schema.Field) string {
	var words []string
	if len(f.Enum) > 0 {
		var values []string
		for _, v := range f.Enum {
			values = append(values, fmt.Sprint(v))
		}
		words = append(words, "one of "+strings.Join(values, ", "))
	}
	if f.Min != nil {
		words = append(words, fmt.Sprintf("at least %v", *f.Min))
	}
	if f.Max != nil {
		words = append(words, fmt.Sprintf("at most %v", *f.Max))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// cell makes a text fit into a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
