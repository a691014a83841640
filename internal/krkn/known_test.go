package krkn

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write known.go anew")

// TestKnownCode compares known.go with all that is in Krkn's repository. It needs a clone of that,
// which CI does not have: EBB_KRKN_REPOSITORY=/src/krkn go test ./internal/krkn -run TestKnownCode -update
func TestKnownCode(t *testing.T) {
	repository := os.Getenv("EBB_KRKN_REPOSITORY")
	if repository == "" {
		t.Skip("NOT TESTED: EBB_KRKN_REPOSITORY NAMES NO CLONE OF KRKN'S REPOSITORY")
	}
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", repository}, args...)...).Output()
		if err != nil {
			t.Fatalf("git %s: %v", strings.Join(args, " "), err)
		}
		return string(out)
	}
	code, frames := map[string][]string{}, []string{}
	add := func(all []string, one string) []string {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
		return all
	}
	blobs := map[string]bool{}
	for line := range strings.Lines(git("rev-list", "--all", "--objects", "--", "krkn/scenario_plugins", "krkn/rollback")) {
		blob, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		template := strings.HasSuffix(name, "version_template.j2")
		if blobs[blob] || !template && !strings.HasSuffix(name, "_plugin.py") {
			continue
		}
		blobs[blob] = true
		text := git("cat-file", "blob", blob)
		if template {
			frames = add(frames, digest(templateFrame(t, text)))
			continue
		}
		for name, function := range functionsOf(text) {
			if _, ok := callables[name]; ok {
				code[name] = add(code[name], digest(function))
			}
		}
	}
	got := source(t, code, frames)
	if *update {
		if err := os.WriteFile("known.go", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("known.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("known.go is not what is in Krkn's repository: run this test with -update")
	}
}

// templateFrame is the frame of what Jinja makes of a template.
func templateFrame(t *testing.T, template string) string {
	t.Helper()
	var parts []string
	for _, name := range []string{"rollback_callable_code", "rollback_content"} {
		before, after, ok := strings.Cut(template, "{{ "+name+" }}")
		if !ok {
			t.Fatalf("the template has no %s", name)
		}
		parts, template = append(parts, before), after
	}
	return frame(parts[0], parts[1], strings.ReplaceAll(template, "{{ rollback_callable_name }}", "NAME"), "NAME")
}

var methodLine = regexp.MustCompile(`^( *)def (rollback_\w+)\(`)

// functionsOf returns the functions of a Python source as Krkn writes them into version files: from
// the def to the last line that is indented more, without the indentation.
func functionsOf(text string) map[string]string {
	all := map[string]string{}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		match := methodLine.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		indent := match[1]
		function := []string{line[len(indent):]}
		for _, line := range lines[i+1:] {
			body := strings.TrimSpace(line) == "" || strings.HasPrefix(line, indent+" ") || strings.HasPrefix(line, indent+")")
			if !body {
				break
			}
			if strings.TrimSpace(line) == "" {
				line = indent
			}
			function = append(function, strings.TrimPrefix(line, indent))
		}
		all[match[2]] = normal(strings.Join(function, "\n"))
	}
	return all
}

// source is the text of known.go.
func source(t *testing.T, code map[string][]string, frames []string) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("package krkn\n\n// Written by TestKnownCode -update from all of Krkn's history.\n\n")
	list := func(digests []string) {
		slices.Sort(digests)
		for _, d := range digests {
			fmt.Fprintf(&b, "\t%q,\n", d)
		}
	}
	b.WriteString("// knownFrames are the SHA-256 of what is around function and content.\nvar knownFrames = []string{\n")
	list(frames)
	b.WriteString("}\n\n// knownCode are the SHA-256 of the functions, by their names.\nvar knownCode = map[string][]string{\n")
	for _, name := range slices.Sorted(maps.Keys(code)) {
		fmt.Fprintf(&b, "%q: {\n", name)
		list(code[name])
		b.WriteString("},\n")
	}
	b.WriteString("}\n")
	formatted, err := format.Source(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return formatted
}
