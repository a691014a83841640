package builtins_test

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
)

func TestRegex(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, want string }{
		{`regex.match("prod", "prod-2")`, "True"}, // from the start, not whole
		{`regex.match("prod", "my-prod")`, "False"},
		{`regex.match("^prod$", "prod-2")`, "False"},
		{`regex.match("a|prod", "prod")`, "True"},
		{`regex.match("b|.*a", "xxa b")`, "True"},
		{`regex.match("", "any")`, "True"},
		{`regex.search("prod", "my-prod-2")`, "True"},
		{`regex.search("^prod", "my-prod")`, "False"},
		{`regex.problem("a(b|c)*")`, `""`},
	} {
		v, err := eval(t, c.expr)
		if err != nil || v.String() != c.want {
			t.Errorf("%s: got %v, %v, want %s", c.expr, v, err, c.want)
		}
	}
	v, err := eval(t, `regex.problem("a(b")`)
	if text, ok := starlark.AsString(v); err != nil || !ok || !strings.Contains(text, "missing closing )") {
		t.Errorf("got %v, %v, want what is wrong with it", v, err)
	}
	for _, f := range []string{"match", "search"} {
		if _, err := eval(t, `regex.`+f+`("(?=a)", "a")`); err == nil || !strings.Contains(err.Error(), "for parameter pattern: ") {
			t.Errorf("regex.%s: got %v, want an error about the pattern", f, err)
		}
	}
}
