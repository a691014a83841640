package builtins_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/ebb-chaos/ebb/builtins"
)

// engines are the functions of the interpreter's own that api.star documents too.
var engines = []string{"attempt", "fail", "parallel", "struct"}

// TestAPI holds api.star and the table that calls are unpacked by equal, both ways:
// names, parameters, their order, which of them are optional, and their defaults.
func TestAPI(t *testing.T) {
	t.Parallel()
	docs, err := builtins.Docs()
	if err != nil {
		t.Fatal(err)
	}
	signatures := builtins.Signatures()
	documented := slices.Clone(engines)
	for _, d := range docs {
		s, ok := signatures[d.Name]
		if !ok {
			if !slices.Contains(engines, d.Name) {
				t.Errorf("api.star documents %s, which scripts can't call", d.Name)
			}
			continue
		}
		documented = append(documented, d.Name)
		if d.Signature != s.String() {
			t.Errorf("api.star has %s\n but scripts call %s", d.Signature, s)
		}
		for i, p := range s.Params {
			if behind := i > 0 && s.Params[i-1].Optional; behind && !p.Optional && !strings.Contains(d.Text, "    "+p.Name+": required") {
				t.Errorf("%s: api.star does not say that %s is required, which no stub can", d.Name, p.Name)
			}
		}
	}
	for name := range signatures {
		if !slices.Contains(documented, name) {
			t.Errorf("api.star does not document %s", name)
		}
	}
}

// TestDocs wants everything documented: each function, and each of its parameters with words of its
// own.
func TestDocs(t *testing.T) {
	t.Parallel()
	docs, err := builtins.Docs()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, d := range docs {
		if d.Section == "" || d.Summary() == "" || seen[d.Name] {
			t.Errorf("%s: no section, no summary, or there twice", d.Name)
		}
		seen[d.Name] = true
		var params []string
		for _, p := range d.Params {
			name, _, _ := strings.Cut(p, " ")
			params = append(params, name)
		}
		var described []string
		for _, m := range regexp.MustCompile(`(?m)^    (\**\w+): \S`).FindAllStringSubmatch(d.Text, -1) {
			described = append(described, m[1])
		}
		if !slices.Equal(params, described) {
			t.Errorf("%s has the parameters %q, and %q are described", d.Name, params, described)
		}
	}
	for _, name := range engines {
		if !seen[name] {
			t.Errorf("api.star does not document %s", name)
		}
	}
}

// TestPredeclared finds each function of the table where scripts look for it, and nothing else
// there.
func TestPredeclared(t *testing.T) {
	t.Parallel()
	var names []string
	var add func(prefix string, members starlark.StringDict)
	add = func(prefix string, members starlark.StringDict) {
		for name, v := range members {
			if m, ok := v.(*starlarkstruct.Module); ok {
				add(prefix+name+".", m.Members)
			} else {
				names = append(names, prefix+name)
			}
		}
	}
	add("", builtins.Predeclared())
	if want := slices.Collect(maps.Keys(builtins.Signatures())); !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(want))) {
		t.Errorf("scripts find %q, the table has %q", names, want)
	}
}
