package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ebb-chaos/ebb/engine"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// contract is how a replay uses a file, and a run a script.
var contract = engine.Contract{
	Arguments: map[string]string{"rollback_callable": "rollback_content"},
	Handovers: []engine.Handover{{Builtin: "set_rollback_callable", Functions: []string{"callable", "verify"}, Argument: "content"}},
	Recording: engine.Recording{
		Function: "run", Builtin: "set_rollback_callable",
		Changes: map[string]string{"k8s.delete": "", "k8s.create": "", "k8s.exec": "read_only"},
	},
}

// audited is an engine with some of the builtins that ebb has, none of which must be called.
func audited(t testing.TB) *engine.Engine {
	builtin := func(name string) *starlark.Builtin {
		return starlark.NewBuiltin(name, func(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			if name != "RollbackContent" {
				t.Errorf("%s was called", b.Name())
			}
			return starlarkstruct.FromKeywords(starlark.String(name), kwargs), nil
		})
	}
	module := func(name string, members ...string) *starlarkstruct.Module {
		m := &starlarkstruct.Module{Name: name, Members: starlark.StringDict{}}
		for _, member := range members {
			m.Members[member] = builtin(name + "." + member)
		}
		return m
	}
	required := func(names ...string) (params []engine.Param) {
		for _, name := range names {
			name, optional := strings.CutSuffix(name, "?")
			params = append(params, engine.Param{Name: name, Required: !optional})
		}
		return params
	}
	return engine.New(engine.Options{
		Predeclared: starlark.StringDict{
			"k8s":                   module("k8s", "get", "delete", "create", "exec"),
			"cloud":                 &starlarkstruct.Module{Name: "cloud", Members: starlark.StringDict{"aws": module("cloud.aws", "start")}},
			"RollbackContent":       builtin("RollbackContent"),
			"set_rollback_callable": builtin("set_rollback_callable"),
		},
		Signatures: map[string]engine.Signature{
			"k8s.get":               {Params: required("kind", "name", "namespace?", "api_version?")},
			"k8s.delete":            {Params: required("kind", "name", "namespace?")},
			"k8s.create":            {Params: required("object")},
			"k8s.exec":              {Params: required("name", "command", "read_only?")},
			"cloud.aws.start":       {Params: required("instance")},
			"RollbackContent":       {Named: true, Rest: true},
			"set_rollback_callable": {Params: required("callable", "content", "verify", "undoes")},
		},
	})
}

func TestAudit(t *testing.T) {
	e := audited(t)
	golden(t, "audit.txtar", func(t *testing.T, name string, src []byte) string {
		var lines []string
		var static []string
		for _, d := range e.Check(name, src, contract) {
			if d.Warning {
				if strings.Contains(d.Msg, "call each other") {
					lines = append(lines, "warning: "+d.Detail())
				}
				continue
			}
			lines = append(lines, d.Detail())
			static = append(static, d.Error.Error())
		}
		// A loaded file gives the same.
		if m, err := e.Load(context.Background(), name, src); err == nil {
			err = e.CheckModule(m, contract)
			var first *engine.Error
			if errors.As(err, &first) {
				for i, x := range append([]*engine.Error{first}, first.Others...) {
					text := strings.TrimSuffix(strings.SplitN(x.Detail(), "\n", 2)[0], "\n")
					if i >= len(static) || text != static[i] {
						t.Errorf("of the loaded file: %s", text)
					}
				}
			} else if err != nil || len(static) > 0 {
				t.Errorf("of the loaded file: %v", err)
			}
		}
		return strings.Join(lines, "\n")
	})
}

// TestCheckScript follows calls and contents through the files that a script loads.
func TestCheckScript(t *testing.T) {
	e := audited(t)
	fsys := fstest.MapFS{
		"a.star": {Data: []byte(`
load("lib/pods.star", "delete_pods", undo = "undo_pods")

def verify(content):
    delete_pods(content.pods, where = "a")

def run(config):
    set_rollback_callable(undo, RollbackContent(pods = config.pods), verify = verify, undoes = [])
    unused = 1
`)},
		"lib/pods.star": {Data: []byte(`
def delete_pods(names, namespace):
    parallel(lambda name: k8s.delet("Pod", name, namespace), names)

def undo_pods(content):
    delete_pods(content.pods, content.namespace)
`)},
	}
	var got []string
	for _, d := range e.CheckScript(context.Background(), fsys, "a.star", contract) {
		got = append(got, strings.Join(append([]string{d.Error.Error()}, d.Hints()...), "; "))
	}
	want := []string{
		`a.star:5:5: delete_pods: missing argument for namespace`,
		`a.star:5:31: delete_pods: unexpected keyword argument "where"`,
		`a.star:9:5: "unused" is never used`,
		`lib/pods.star:3:31: k8s has no "delet"; did you mean k8s.delete?`,
		`lib/pods.star:6:39: content has no field "namespace": it is made at a.star:8:33; it has pods`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	fsys["lib/pods.star"] = &fstest.MapFile{Data: []byte("def (")}
	if found := e.CheckScript(context.Background(), fsys, "a.star", contract); len(found) == 0 || found[0].Pos.Filename() != "lib/pods.star" || found[0].Warning {
		t.Errorf("got %v of a library that can't be parsed", found)
	}
}

// TestSignatures calls the engine's own functions as their signatures say, and otherwise.
func TestSignatures(t *testing.T) {
	e := engine.New(engine.Options{})
	for call, ok := range map[string]bool{
		"attempt(len, [])": true, "attempt()": false, "fail('a', 'b', sep = ' ')": true, "fail(sepp = 1)": false,
		"parallel(len, [[]])": true, "parallel(fn = len, items = [], limit = 2)": true, "parallel(len)": false, "parallel(len, [], 1, 2)": false,
		"parallel(len, [], x = 1)": false, "struct(a = 1)": true, "struct(1)": false,
	} {
		src := []byte("def f():\n    return " + call)
		m, err := e.Load(context.Background(), "x.star", src)
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.Call(context.Background(), m.Get("f"))
		var failed *engine.FailError
		if runs := err == nil || errors.As(err, &failed); runs != ok {
			t.Errorf("%s: %v", call, err)
		}
		if fits := e.CheckModule(m, engine.Contract{}) == nil; fits != ok {
			t.Errorf("%s: the check says %v", call, e.CheckModule(m, engine.Contract{}))
		}
	}
}

// BenchmarkCheckModule is what a flush pays for the check of a version file of usual length.
func BenchmarkCheckModule(b *testing.B) {
	e := audited(b)
	var src strings.Builder
	src.WriteString("rollback_content = RollbackContent(namespace = \"a\", pods = [\"b\"])\n")
	for i := range 12 {
		name := string(rune('a' + i))
		src.WriteString("def " + name + "(c):\n    for pod in c.pods:\n        r = attempt(k8s.delete, \"Pod\", pod, namespace = c.namespace)\n" +
			"        if not r.ok:\n            fail(\"a\", pod, r.error.message)\n    return k8s.get(\"Pod\", name = c.pods[0], namespace = c.namespace)\n")
	}
	src.WriteString("rollback_callable = a\n")
	m, err := e.Load(context.Background(), "x.star", []byte(src.String()))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := e.CheckModule(m, contract); err != nil {
			b.Fatal(err)
		}
	}
}
