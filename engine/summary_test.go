package engine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/engine"
)

func TestSummarize(t *testing.T) {
	e := engine.New(engine.Options{Predeclared: starlark.StringDict{
		"k8s": starlark.None, "cloud": starlark.None,
		"boom": starlark.NewBuiltin("boom", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
			t.Error("something of the file was run")
			return starlark.None, nil
		}),
	}})
	got, err := e.Summarize("f", []byte(`# é
boom()
content = Content(
    a = "é", # with a comment
)
def helper(x):
    cloud.gcp.start(x)
    helper(x)

def undo(content):
    """Puts it back.

    Twice.
    """
    helper(content)
    attempt(k8s.delete, "Pod", content.k8s.delete)

callable = undo
other = boom
`))
	want := engine.Summary{
		Functions: map[string]engine.FunctionSummary{
			"helper":   {Name: "helper", Calls: []string{"cloud.gcp.start"}},
			"undo":     {Name: "undo", Doc: "Puts it back.\n\nTwice.", Calls: []string{"cloud.gcp.start", "k8s.delete"}},
			"callable": {Name: "undo", Doc: "Puts it back.\n\nTwice.", Calls: []string{"cloud.gcp.start", "k8s.delete"}},
		},
		Values: map[string]string{"content": "Content(\n    a = \"é\", # with a comment\n)", "other": "boom"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"def f(:", "x = \"", "\xff"} {
		if _, err := e.Summarize("f", []byte(bad)); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}
