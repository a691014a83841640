package builtins_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
)

// call calls main of a script without a cluster.
func call(t *testing.T, s *builtins.Session, script string) (starlark.Value, error) {
	t.Helper()
	s.Log = slog.New(slog.DiscardHandler)
	e := engine.New(engine.Options{Predeclared: builtins.Predeclared(), Bind: builtins.Bind})
	m, err := e.Load(t.Context(), "test.star", []byte(script))
	if err != nil {
		t.Fatal(err)
	}
	return e.Call(builtins.WithSession(t.Context(), s), m.Get("main"))
}

// samples are arguments that can be unpacked, by the type of the parameter.
var samples = map[string]string{
	"any": "1", "bool": "True", "dict": `{"a": 1}`, "dict of field": "{}", "dict of lists of strings": `{"a": ["b"]}`, "field": "field()",
	"function": "main", "int": "1", "list": "[]", "list of ref": `[ref("Pod", "a")]`, "list of right": "[]", "list of strings": `["a"]`,
	"number": "1", "number or duration": "1", "ref": `ref("Pod", "a")`, "string": `"1h"`, "string or list of strings": `"string"`,
}

// sample is a call of a builtin that can be unpacked.
func sample(t *testing.T, s builtins.Signature) string {
	var args []string
	for _, p := range s.Params {
		value, ok := samples[p.Type]
		if !ok {
			t.Fatalf("%s: parameter %s has the type %q, of which this test has no sample", s.Name, p.Name, p.Type)
		}
		args = append(args, p.Name+" = "+value)
	}
	return s.Name + "(" + strings.Join(args, ", ") + ")"
}

// TestAccess calls each builtin in each mode that its access forbids.
func TestAccess(t *testing.T) {
	t.Parallel()
	for name, s := range builtins.Signatures() {
		for _, c := range []struct {
			mode builtins.Mode
			from builtins.Access
			want string
		}{
			{builtins.Init, builtins.Read, "can't be called while the module loads: call it from run or from a callable"},
			{builtins.Verify, builtins.Write, "can't be called in a verify callable: it only reads"},
		} {
			if s.Access < c.from {
				continue
			}
			text := sample(t, s)
			if name == "k8s.exec" { // which only reads when it says so
				text = strings.Replace(text, "read_only = True", "read_only = False", 1)
			}
			_, err := call(t, &builtins.Session{Mode: c.mode}, "def main():\n    "+text)
			if want := name + ": " + c.want; err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%s in mode %d: got %v, want %q", text, c.mode, err, want)
			}
		}
	}
}

// TestUnpack asks each builtin itself which parameters it has.
func TestUnpack(t *testing.T) {
	t.Parallel()
	refused := func(text, want string) {
		t.Helper()
		_, err := call(t, &builtins.Session{}, "def main():\n    "+text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	for name, s := range builtins.Signatures() {
		if s.Rest == "" {
			refused(name+"(no_such_parameter = None)", name+`: unexpected keyword argument "no_such_parameter"`)
		}
		if s.Named {
			refused(name+"(1)", name+": got a positional argument 1, want name = value")
		} else {
			refused(name+"(*([None] * 50))", fmt.Sprintf("%s: got 50 arguments, want at most %d", name, len(s.Params)))
		}
		// Each required parameter left out, all others given.
		for i, p := range s.Params {
			if !p.Optional {
				others := s
				others.Params = slices.Delete(slices.Clone(s.Params), i, i+1)
				refused(sample(t, others), name+": missing argument for "+p.Name)
			}
		}
	}
	refused(`time.sleep("x")`, "time.sleep: for parameter seconds: got string, want a number of seconds")
	refused(`time.sleep(seconds = "x")`, "time.sleep: for parameter seconds: got string, want a number of seconds")
}

// TestObserve wants every call reported once, as it was answered.
func TestObserve(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []string
	s := &builtins.Session{Mode: builtins.Verify, Observe: func(c builtins.Call) {
		mu.Lock()
		defer mu.Unlock()
		var args []string
		for _, a := range c.Args {
			args = append(args, a.Name+"="+a.Value.String())
		}
		answer := fmt.Sprint(c.Value)
		if c.Err != nil {
			answer = c.Err.Error()
		}
		calls = append(calls, fmt.Sprintf("%s %s(%s): %s", c.Access, c.Name, strings.Join(args, " "), answer))
	}}
	_, err := call(t, s, `
def main():
    json.decode("[1]")
    log.info("x")
    attempt(k8s.exec, "p", "n", ["ls"], read_only = True)
`)
	if err == nil {
		t.Error("the last call did not fail")
	}
	want := []string{
		`pure json.decode(text="[1]"): [1]`,
		`session log.info(message="x"): None`,
	}
	if len(calls) < 3 || !slices.Equal(calls[:2], want) {
		t.Fatalf("got %q, want %q first", calls, want)
	}
	// There is no cluster here, which attempt does not catch.
	if last := calls[len(calls)-1]; last != `read k8s.exec(name="p" namespace="n" command=["ls"] read_only=True): k8s.exec: there is no cluster here` {
		t.Errorf("got %s", last)
	}
	calls = nil
	_, err = call(t, s, `
def main():
    RollbackContent(namespace = "a")
    attempt(conflict, "theirs")
    k8s.get("Pod", name = 1)
`)
	want = []string{
		`pure RollbackContent(namespace="a"): RollbackContent(namespace = "a")`,
		`read conflict(message="theirs"): theirs`,
		`read k8s.get(kind="Pod" name=1): k8s.get: for parameter name: got int, want string`,
	}
	if !slices.Equal(calls, want) {
		t.Errorf("got  %q\nwant %q", calls, want)
	}
	var conflict *builtins.ConflictError
	if errors.As(err, &conflict) || !strings.HasSuffix(err.Error(), "test.star:5:12: k8s.get: for parameter name: got int, want string") {
		t.Errorf("got error %v", err)
	}
}

// TestNoSession wants a plain error where an interpreter forgot to bind its threads.
func TestNoSession(t *testing.T) {
	t.Parallel()
	e := engine.New(engine.Options{Predeclared: builtins.Predeclared()})
	_, err := e.Load(context.Background(), "test.star", []byte(`x = log.info("a")`))
	if want := "log.info: this thread is bound to no context"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
