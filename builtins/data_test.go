package builtins_test

import (
	"log/slog"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
)

// eval calls a function of one expression, without a cluster.
func eval(t testing.TB, expr string, args ...starlark.Value) (starlark.Value, error) {
	t.Helper()
	e := engine.New(engine.Options{Predeclared: builtins.Predeclared(), Bind: builtins.Bind})
	s := &builtins.Session{Mode: builtins.Undo, Log: slog.New(slog.DiscardHandler)}
	ctx := builtins.WithSession(t.Context(), s)
	m, err := e.Load(ctx, "test.star", []byte("def main(*args):\n    return "+expr+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return e.Call(ctx, m.Get("main"), args...)
}

// value draws what JSON and YAML can hold.
func value(depth int) *rapid.Generator[starlark.Value] {
	return rapid.Custom(func(t *rapid.T) starlark.Value {
		kinds := 5
		if depth > 0 {
			kinds = 7
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return starlark.None
		case 1:
			return starlark.Bool(rapid.Bool().Draw(t, "bool"))
		case 2:
			return starlark.MakeInt64(rapid.Int64().Draw(t, "int"))
		case 3:
			return starlark.Float(rapid.Float64Range(-1e300, 1e300).Draw(t, "float"))
		case 4:
			return starlark.String(rapid.String().Draw(t, "string"))
		case 5:
			return starlark.NewList(rapid.SliceOfN(value(depth-1), 0, 4).Draw(t, "list"))
		}
		d := starlark.NewDict(0)
		for key, v := range rapid.MapOfN(rapid.String(), value(depth-1), 0, 4).Draw(t, "dict") {
			if err := d.SetKey(starlark.String(key), v); err != nil {
				t.Fatal(err)
			}
		}
		return d
	})
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := value(3).Draw(rt, "value")
		got, err := eval(t, "json.decode(json.encode(args[0]))", v)
		if err != nil {
			rt.Fatal(err)
		}
		// Numbers are compared by what they are: JSON has one kind of them.
		if same, err := starlark.Equal(v, got); err != nil || !same {
			rt.Fatalf("%s became %s (%v)", v, got, err)
		}
	})
}

func TestBase64RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := starlark.String(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes"))
		got, err := eval(t, "base64.decode(base64.encode(args[0]))", v)
		if err != nil || got != v {
			rt.Fatalf("%q became %v (%v)", v, got, err)
		}
	})
}

func TestData(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`json.encode({"b": 1, "a": [None, True, 1.5, "<&>"], "c": struct(x = 1)})`: `"{\"a\":[null,true,1.5,\"<&>\"],\"b\":1,\"c\":{\"x\":1}}"`,
		`json.decode("{\"a\": 9007199254740993, \"b\": 1e3}")`:                     `{"a": 9007199254740993, "b": 1000.0}`,
		`json.indent("{\"a\":1}", indent = " ")`:                                   `"{\n \"a\": 1\n}"`,
		`yaml.decode("a: [1, yes, ~, 'x']")`:                                       `{"a": [1, "yes", None, "x"]}`,
		`yaml.encode({"a": [1, "x"]})`:                                             `"a:\n    - 1\n    - x\n"`,
		`base64.encode("a\x00b")`:                                                  `"YQBi"`,
		`len(random_name("krkn-deny-", 5))`:                                        `15`,
		`sorted(random_sample([3, 1, 2], 9))`:                                      `[1, 2, 3]`,
		`len(random_sample(range(100), 7))`:                                        `7`,
		`random_sample([], 1)`:                                                     `[]`,
		`[ref("Pod", "a", "b").kind, ref("Pod", "a").namespace]`:                   `["Pod", ""]`,
		`ref("Pod", "a", "b") == ref("Pod", "a", "b")`:                             `True`,
		`ref("Pod", "a", "b") == ref("Pod", "a", "c")`:                             `False`,
		`ref("Pod", "it's \"x\"")`:                                                 `ref("Pod", "it's \"x\"")`,
		`{ref("Pod", "a"): 1}[ref("Pod", "a")]`:                                    `1`,
	} {
		if got, err := eval(t, expr); err != nil || got.String() != want {
			t.Errorf("%s: got %v (%v), want %s", expr, got, err, want)
		}
	}
}

func TestDataErrors(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		`json.decode("[1")`:                        "unexpected EOF",
		`json.decode("1 2")`:                       "there is more after the value",
		`json.decode("[" * 1000000)`:               "json.decode: ",
		`json.indent("[" * 1000000)`:               "json.indent: ",
		`json.decode("[" * 200 + "]" * 200)`:       "nested more than 100 deep",
		`json.encode([[]] * 200001)`:               "more than 200000 elements",
		`json.encode(float("nan"))`:                "has no JSON form",
		`json.encode({"a": [{"b": json.encode}]})`: `at ["a"][0]["b"]: a builtin_function_or_method has no JSON form`,
		`json.encode({1: 2})`:                      "dict key 1 is a int, want a string",
		`json.encode(1 << 70)`:                     "does not fit in 64 bits",
		`yaml.decode("a: [")`:                      "yaml.decode: ",
		`yaml.decode("a: &a [1]\nb: &b [` + strings.Repeat("*a, ", 400) + `]\nc: &c [` + strings.Repeat("*b, ", 400) + `]\nd: [` + strings.Repeat("*c, ", 400) + `]")`: "yaml.decode: ",
		`base64.decode("!")`:                          "illegal base64 data",
		`random_name("x", 0)`:                         "want 1 to 63",
		`random_sample([1], -1)`:                      "want 0 or more",
		`time.sleep(-1)`:                              "want 0 or more",
		`time.sleep("1s")`:                            "want a number of seconds",
		`time.sleep(float("inf"))`:                    "want 0 or more",
		`ref("", "a")`:                                "must not be empty",
		`ref("Pod", "a") < ref("Pod", "b")`:           "refs have no order",
		`RollbackContent("a")`:                        "want name = value",
		`RollbackVersion(format = 2)`:                 "reads format 1",
		`RollbackVersion(format = 1, undoes = ["a"])`: "element 0 is a string, want ref",
		`RollbackContent(a = 1).b`:                    "no .b attribute",
	} {
		if got, err := eval(t, expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v and error %v, want one with %q", expr, got, err, want)
		}
	}
}

func TestScenarioErrors(t *testing.T) {
	t.Parallel()
	scenario := func(args string) string {
		return `Scenario(type = "a", help = "h", rights = [], ` + args + `)`
	}
	for expr, want := range map[string]string{
		`Scenario(type = "not a label", fields = {}, rights = [], help = "")`:  "must be a label value",
		scenario(`fields = {"a": 1}`):                                          `key "a" is a int, want field(…)`,
		scenario(`fields = {1: field()}`):                                      "key 1 is a int, want a string",
		scenario(`fields = {"a-b": field(), "a_b": field()}`):                  "would be the same attribute of config",
		`Scenario(type = "a", help = "h", rights = ["get pods"], fields = {})`: "got string, want right(verbs, resource)",
		`right("", "pods")`:                   "must not be empty",
		`field(type = "texts")`:               `got "texts", want one of`,
		`field(type = [])`:                    "got an empty list",
		`field(type = ["int", 1])`:            "got a list with a int",
		`field(required = True, default = 1)`: "a required field has no default",
		`field(min = "a")`:                    "got string, want a number",
		`field(default = len)`:                "has no JSON form",
	} {
		if got, err := eval(t, expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v and error %v, want one with %q", expr, got, err, want)
		}
	}
}
