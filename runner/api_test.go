package runner

import (
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
)

// TestStubs holds what api.star says of the engine's own functions equal to how they are called. Of
// all others the test stands with the builtins.
func TestStubs(t *testing.T) {
	docs, err := builtins.Docs()
	if err != nil {
		t.Fatal(err)
	}
	own := engine.Signatures()
	table := builtins.Signatures()
	for _, d := range docs {
		s, ok := own[d.Name]
		if _, builtin := table[d.Name]; builtin == ok {
			t.Errorf("%s: of the engine: %t, of the builtins: %t; want one of the two", d.Name, ok, builtin)
		}
		if !ok {
			continue
		}
		delete(own, d.Name)
		var params []engine.Param
		more, rest := false, false
		for _, p := range d.Params {
			name, _, optional := strings.Cut(p, " = ")
			switch {
			case strings.HasPrefix(p, "**"):
				rest = true
			case strings.HasPrefix(p, "*"):
				more = true
			default:
				params = append(params, engine.Param{Name: name, Required: !optional, Named: more})
			}
		}
		same := len(params) == len(s.Params) && more == s.More && rest == s.Rest
		for i := range params {
			same = same && params[i] == s.Params[i]
		}
		if !same {
			t.Errorf("%s: api.star documents %s, the engine has %+v", d.Name, d.Signature, s)
		}
	}
	for name := range own {
		t.Errorf("api.star does not document %s", name)
	}
}
