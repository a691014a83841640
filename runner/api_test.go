package runner

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
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

// TestStubParameters asks each function itself which parameters it has: it refuses
// one that it does not have by name, and one that it has only for another reason.
func TestStubParameters(t *testing.T) {
	docs, err := builtins.Docs()
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Options{Predeclared: builtins.Predeclared(), Bind: builtins.Bind})
	ctx := builtins.WithSession(context.Background(), &builtins.Session{})
	refusal := func(call string) string {
		m, err := e.Load(ctx, "probe.star", []byte("def probe():\n    "+call+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Call(ctx, m.Get("probe"))
		if err == nil {
			return ""
		}
		return err.Error()
	}
	for _, d := range docs {
		variadic := slices.ContainsFunc(d.Params, func(p string) bool { return strings.HasPrefix(p, "*") })
		if variadic || d.Name == "time.now" || d.Name == "json.indent" || d.Name == "time.parse_duration" {
			continue // takes any name, or checks its parameters in the library's own way
		}
		if got := refusal(d.Name + "(no_such_parameter = None)"); !strings.Contains(got, "unexpected keyword argument") {
			t.Errorf("%s: got %q for a parameter that it does not have", d.Name, got)
		}
		// What is not documented can still be given by position.
		most := fmt.Sprintf("want at most %d", len(d.Params))
		if got := refusal(d.Name + "(*([None] * 50))"); !strings.Contains(got, most) && d.Name != "RollbackVersion" && len(d.Params) > 0 {
			t.Errorf("%s: api.star documents %d parameters, but: %s", d.Name, len(d.Params), got)
		}
		for _, p := range d.Params {
			name, _, _ := strings.Cut(p, " ")
			if got := refusal(d.Name + "(" + name + " = None)"); strings.Contains(got, "unexpected keyword argument") {
				t.Errorf("%s: api.star documents parameter %s, but: %s", d.Name, name, got)
			}
		}
	}
}
