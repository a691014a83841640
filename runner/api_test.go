package runner

import (
	"slices"
	"sort"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/ebb-chaos/ebb/builtins"
)

// TestStubs holds api.star and what scripts can call equal: every function is
// documented, nothing else is, and every documented parameter is one.
func TestStubs(t *testing.T) {
	docs, err := builtins.Docs()
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, d := range docs {
		documented = append(documented, d.Name)
		if d.Section == "" || d.Summary() == "" {
			t.Errorf("%s: no section or no summary", d.Name)
		}
		for _, p := range d.Params {
			name, _, _ := strings.Cut(strings.TrimLeft(p, "*"), " ")
			if !strings.Contains(d.Text, "    "+name+":") && !strings.Contains(d.Text, "    *"+name+":") && !strings.Contains(d.Text, "    **"+name+":") {
				t.Errorf("%s: parameter %s is not documented", d.Name, name)
			}
		}
	}
	callable := map[string]starlark.Value{"attempt": nil, "fail": nil, "parallel": nil, "struct": nil} // the engine's own
	var add func(prefix string, members starlark.StringDict)
	add = func(prefix string, members starlark.StringDict) {
		for name, v := range members {
			if m, ok := v.(*starlarkstruct.Module); ok {
				add(prefix+name+".", m.Members)
				continue
			}
			callable[prefix+name] = v
		}
	}
	add("", builtins.Predeclared())
	var names []string
	for name := range callable {
		names = append(names, name)
	}
	sort.Strings(names)
	sort.Strings(documented)
	if !slices.Equal(names, documented) {
		t.Errorf("scripts can call %q,\nbut api.star documents %q", names, documented)
	}
}
