package runner

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// TestOutlineMissesNothing writes the head of a file in many ways, as it was written and as hands may
// have changed it: what a close look finds, the outline has not ruled out.
func TestOutlineMissesNothing(t *testing.T) {
	r, err := New(versions.NewMemory(), Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"web", "web-1", "b", `q"uote`, "", "é"}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		text := rapid.SampledFrom([]string{
			"%q", "'%s'", `"""%s"""`, "'''%s'''", `"" + "%s"`, `"%s".strip()`, `NAME`, `"%s" if True else ""`, `r"%s"`, `%x`,
		}).Draw(t, "how it is written")
		escaped := `"`
		for _, b := range []byte(name) {
			escaped += fmt.Sprintf(`\x%02x`, b)
		}
		literal := strings.NewReplacer("%s", name, "%q", fmt.Sprintf("%q", name), "%x", escaped+`"`).Replace(text)
		undoes := rapid.SampledFrom([]string{
			`[ref("Pod", %s, "ns")]`,
			`[ref("Pod", "other", "ns"), ref(kind = "Pod", name = %s, namespace = "ns")]`,
			`[ref("Pod", n, "ns") for n in [%s]]`,
			`([ref("Pod", %s, "ns")])`,
			"[\n        ref(\"Pod\", %s, \"ns\"), # of the team\n    ]",
		}).Draw(t, "undoes")
		before := rapid.SampledFrom([]string{"", "# Written by ebb.\n", "NAME = \"" + name + "\"\n", "rollback_version = None\n"}).Draw(t, "before")
		after := rapid.SampledFrom([]string{"", "def broken(:\n", "# \"" + name + "\"\n", "x = undefined\n", "def ref(a, b, c):\n    pass\n"}).Draw(t, "after")
		content := before + "rollback_version = RollbackVersion(\n    format = 1,\n    undoes = " + strings.ReplaceAll(undoes, "%s", literal) + ",\n)\n" +
			"rollback_content = RollbackContent()\ndef undo(c):\n    pass\nrollback_callable = undo\n" + after
		closer := r.lookCloser(t.Context(), versions.File{Location: "f.star"}, []byte(content), nil)
		for _, name := range names {
			ref := builtins.Ref{Kind: "Pod", Name: name, Namespace: "ns"}
			if closer.names(ref) && !outlineOf([]byte(content)).mayUndo([]builtins.Ref{ref}) {
				t.Fatalf("the outline rules out %q, which the file undoes or may (%v):\n%s", name, closer.err, content)
			}
		}
	})
}

// A file as it was written is ruled out without parsing it.
func TestOutlineRulesOut(t *testing.T) {
	content := []byte("#!/usr/bin/env -S ebb exec\n# it's \"x\"\n\nrollback_version = RollbackVersion(\n    format = 1,\n    scenario = \"s.yaml\",\n    undoes = [ref(\"Pod\", \"web\", \"ns\")],\n)\n")
	refs := func(name string) []builtins.Ref { return []builtins.Ref{{Kind: "Pod", Name: name, Namespace: "ns"}} }
	o := outlineOf(content)
	if o.mayUndo(refs("web-1")) || o.mayUndo(refs("we")) || o.mayUndo(nil) {
		t.Error("a file that names nothing of it was not ruled out")
	}
	if !o.mayUndo(refs("web")) || !o.mayUndo(append(refs("web-1"), refs("web")...)) {
		t.Error("a file that names it was ruled out")
	}
}

// An outline is kept for the next version of ebb, under outlineKind. If this fails because outlineOf or what
// it calls has changed, outlineKind needs another name, and then this one does.
func TestOutlineIsKept(t *testing.T) {
	content := []byte("rollback_version = RollbackVersion(\n    undoes = [ref(\"Pod\", \"web\", 'ns')],\n)\n")
	want := "outline 1: 00161a75af1f5efe6c4c1f44244f0a72527dc9b86aaa01ec9dc7805d0ce7ee67a7"
	if got := fmt.Sprintf("%s: %x", outlineKind, string(outlineOf(content))); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, plain := range []string{"# no head\n", "rollback_version = RollbackVersion(undoes = f())\n", "rollback_version = RollbackVersion(undoes = [ref(\"a\\x62\")])\n"} {
		if got := outlineOf([]byte(plain)); got != "" {
			t.Errorf("%q: got an outline, want none: a name may be computed", plain)
		}
	}
}
