package schema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/schema"
)

// Where a password may stand, an error says what is wrong and not what is there.
func TestSecretFieldsAreNotShown(t *testing.T) {
	low := 1.0
	secret := map[string]schema.Field{"login": {Type: schema.Map, Secret: true, Fields: map[string]schema.Field{
		"word":    {Type: schema.String, Enum: []any{"a"}},
		"number":  {Type: schema.Int, Min: &low},
		"headers": {Type: schema.Map, Values: &schema.Field{Type: schema.List}},
		"list":    {Type: schema.List, Items: &schema.Field{Type: schema.Bool}},
	}}}
	for text, want := range map[string]string{
		`{login: hush}`:                             "got something else, want a map",
		`{login: {word: hush}}`:                     "not a value that is allowed here",
		`{login: {word: <hush>}}`:                   "still a placeholder: got something else",
		`{login: {number: -7777}}`:                  "not a value that is allowed here",
		`{login: {number: hush}}`:                   "got something else, want a whole number",
		`{login: {headers: {Authorization: hush}}}`: "got something else, want a list",
		`{login: {list: [hush]}}`:                   "got something else, want true or false",
		`{login: {headers: [hush]}}`:                "got a list, want a map",
	} {
		root, err := schema.Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, problems := schema.Check("x.yaml", root, secret)
		err = problems.Err()
		if err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "7777") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func ptr(f float64) *float64 { return &f }

var text = schema.Field{Type: schema.String}

// every has a field of every kind.
var every = map[string]schema.Field{
	"name":      {Type: schema.String, Required: true},
	"kind":      {Type: schema.String, Enum: []any{"cpu", "memory", "io"}},
	"workers":   {Type: schema.Int, Min: ptr(1), Max: ptr(99)},
	"load":      {Type: schema.Number, Default: 0.5},
	"on-exit":   {Type: schema.Bool, Default: true},
	"duration":  {Type: schema.Duration, Default: int64(30)},
	"block":     {Types: []schema.Type{schema.List, schema.String}, Items: &schema.Field{Type: schema.String, Enum: []any{"Ingress", "Egress"}}},
	"port":      {Types: []schema.Type{schema.Int, schema.String}},
	"selector":  {Type: schema.Map, Values: &text, Default: map[string]any{}},
	"egress":    {Type: schema.Map, Fields: map[string]schema.Field{"loss": {Type: schema.Number, Default: int64(1)}, "rate": {Type: schema.String, Required: true}}},
	"ports":     {Type: schema.List, Items: &schema.Field{Type: schema.Int}},
	"volume":    {Type: schema.Any},
	"list-path": {Type: schema.String, Default: "/"},
	"labels":    {Type: schema.Map, Values: &schema.Field{Types: []schema.Type{schema.Text, schema.List}, Items: &schema.Field{Type: schema.Text}}},
	"nodes":     {Type: schema.Selector, Default: "worker"},
}

func check(t *testing.T, fields map[string]schema.Field, in string) (map[string]any, string) {
	t.Helper()
	docs, err := schema.Documents("f.yml", []byte(in), "", false)
	if err != nil {
		return nil, err.Error()
	}
	values, problems := docs[0].Check(fields)
	if err := problems.Err(); err != nil {
		return nil, err.Error()
	}
	return values, ""
}

func TestDefaults(t *testing.T) {
	got, problems := check(t, every, "name: a")
	if problems != "" {
		t.Fatal(problems)
	}
	want := map[string]any{
		"name": "a", "kind": nil, "workers": nil, "load": 0.5, "on-exit": true, "duration": int64(30), "block": nil, "port": nil,
		"selector": map[string]any{}, "egress": nil, "ports": nil, "volume": nil, "list-path": "/",
		"labels": nil, "nodes": "worker",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// values are lines of a scenario file, and what a key of it then is; nil where it is refused.
var values = []struct {
	in   string
	key  string
	want any
}{
	{"workers: 3", "workers", int64(3)},
	{"workers: ''", "workers", nil}, // Krkn's way to leave a number out
	{"workers:", "workers", nil},
	{"workers: ~", "workers", nil},
	{`workers: "10"`, "workers", int64(10)},
	{`workers: "010"`, "workers", int64(10)}, // as Python reads it
	{"workers: 010", "workers", int64(8)},    // as YAML reads it
	{"workers: 10.0", "workers", int64(10)},
	{"workers: 0x10", "workers", int64(16)},
	{"workers: 1_0", "workers", int64(10)},
	{"load: 3", "load", int64(3)},
	{"load: 0.25", "load", 0.25},
	{"load: '0.25'", "load", 0.25},
	{"load: ''", "load", 0.5},
	{"on-exit: no", "on-exit", false},
	{"on-exit: Off", "on-exit", false},
	{"on-exit: False", "on-exit", false},
	{"on-exit: 'False'", "on-exit", false},
	{"on-exit: 'Yes'", "on-exit", true},
	{"on-exit: ''", "on-exit", true},
	{"on-exit :   no", "on-exit", false}, // a space before the colon, as in Krkn's syn_flood.yaml
	{"duration: 600", "duration", int64(600)},
	{"duration: 1.5", "duration", 1.5},
	{"duration: 30s", "duration", int64(30)},
	{"duration: 2m", "duration", int64(120)},
	{"duration: 1h", "duration", int64(3600)},
	{"duration: 1h30m", "duration", int64(5400)},
	{"duration: 500ms", "duration", 0.5},
	{"duration: '60'", "duration", int64(60)},
	{"duration: 0", "duration", int64(0)},
	{"duration: 1:30", "duration", int64(90)}, // to the base of 60, as Python reads it
	{"duration: '1:30'", "duration", nil},
	{"duration: 1:60", "duration", nil},
	{"workers: 1:0:0", "workers", nil}, // 3600 is too many
	{"volume: 22:22", "volume", int64(1342)},
	{"volume: -22:22", "volume", int64(-1342)},
	{"list-path: $NAME", "list-path", nil}, // nobody has put a value there
	{"list-path: '${NAME}'", "list-path", nil},
	{"list-path: '{{ name }}'", "list-path", nil},
	{"labels: {a: $NAME}", "labels", map[string]any{"a": "$NAME"}},
	{"list-path: $5", "list-path", "$5"},
	{"list-path: 10:20", "list-path", "10:20"},
	{"port: 8:30", "port", int64(510)},
	{"block: [Ingress]", "block", []any{"Ingress"}},
	{`block: "[Ingress, Egress]"`, "block", "[Ingress, Egress]"},
	{"block: []", "block", []any{}},
	{"port: 80", "port", int64(80)},
	{"port: '80'", "port", "80"}, // a string where strings are wanted too
	{"port: http-web", "port", "http-web"},
	{"selector: {app: foo, tier: ''}", "selector", map[string]any{"app": "foo", "tier": ""}},
	{"selector: {version: 1.10}", "selector", map[string]any{"version": "1.10"}}, // the text, not the number
	{"selector:", "selector", map[string]any{}},
	{"egress: {rate: 1gbit}", "egress", map[string]any{"rate": "1gbit", "loss": int64(1)}},
	{"ports: [80, '443']", "ports", []any{int64(80), int64(443)}},
	{"volume: {a: [1, yes, ~, 2.5, <b>], 7: {}}", "volume", map[string]any{"a": []any{int64(1), true, nil, 2.5, "<b>"}, "7": map[string]any{}}},
	{"volume: 2026-11-22", "volume", "2026-11-22"}, // JSON has no dates
	{"volume: 'yes'", "volume", "yes"},
	{"volume: !!str 10", "volume", "10"},
	{"list-path: 007", "list-path", "007"},
	{"list-path: 1e3", "list-path", "1e3"},
	{"list-path: ''", "list-path", "/"}, // empty is the default
	{"labels: {a: true, b: yes, c: 1.10, d: 0123, e: 007, f: 1e3, g: null, h: ~, i: '', j: , k: 2026-11-27, l: 0x1F, m: 'no'}", "labels", map[string]any{
		"a": "true", "b": "yes", "c": "1.10", "d": "0123", "e": "007", "f": "1e3", "g": "null", "h": "~", "i": "", "j": "",
		"k": "2026-11-27", "l": "0x1F", "m": "no",
	}},
	{"labels: {a: [true, 1.10], b: [007, null]}", "labels", map[string]any{"a": []any{"true", "1.10"}, "b": []any{"007", "null"}}},
	{"labels: '{a: true, b: 1.10}'", "labels", map[string]any{"a": "true", "b": "1.10"}}, // what Krkn's template makes of it
	{"labels: 'a: true'", "labels", nil},
	{"ports: '[80, 443]'", "ports", []any{int64(80), int64(443)}},
	{"ports: '[&a 80, *a]'", "ports", nil},
	{"nodes: zone=b,worker=", "nodes", "zone=b,worker="},
	{"nodes: zone in (a, b),!spot,tier notin (x)", "nodes", "zone in (a, b),!spot,tier notin (x)"},
	{"nodes: a==b", "nodes", "a==b"},
	{"nodes: ''", "nodes", "worker"},
	{"list-path: |\n  a\n  b\n", "list-path", "a\nb\n"},
	{"volume: &v {x: 1}\negress: {<<: *v, rate: a}", "egress", nil}, // refused below: x is unknown
	{"volume: &v {loss: 2, rate: b}\negress: {<<: *v, rate: a}", "egress", map[string]any{"loss": int64(2), "rate": "a"}},
	{"volume: [&v {loss: 2}, &w {loss: 3, rate: c}]\negress: {<<: [*v, *w]}", "egress", map[string]any{"loss": int64(2), "rate": "c"}},
	{"volume: &v [80]\nports: *v", "ports", []any{int64(80)}},
}

func TestValues(t *testing.T) {
	for _, test := range values {
		got, problems := check(t, every, "name: a\n"+test.in+"\n")
		if problems != "" {
			if test.want != nil {
				t.Errorf("%s: %s", test.in, problems)
			}
			continue
		}
		if d := cmp.Diff(test.want, got[test.key]); d != "" {
			t.Errorf("%s: %s", test.in, d)
		}
	}
}

func TestProblems(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"nam: a", "f.yml:1: key \"nam\": unknown; did you mean \"name\"?\nf.yml:1: key \"name\": missing; want a string"},
		{"name: a\nlist_path: b", `f.yml:2: key "list_path": unknown; did you mean "list-path"?`},
		{"name: a\nDuraton: 3", `f.yml:2: key "Duraton": unknown; did you mean "duration"?`},
		{"name: a\n\nnodes: a b", `f.yml:3: key "nodes": got the string "a b", want a label selector such as "app=web,tier!=db": unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt`},
		{"name: a\nnodes: a=b=c", `f.yml:2: key "nodes": got the string "a=b=c", want a label selector such as "app=web,tier!=db": found '=', expected: ',' or 'end of string'`},
		{"name: a\nnodes: 'zone in b'", `f.yml:2: key "nodes": got the string "zone in b", want a label selector such as "app=web,tier!=db": unable to parse requirement: found 'b' expected: '('`},
		{"name: a\nlabels: {a: {b: c}}", `f.yml:2: key "labels.a": got a map, want a single value, or a list`},
		{"name: a\negress: {rate: 1, speed: 2}", `f.yml:2: key "egress.speed": unknown; want one of "loss", "rate"`},
		{"name: ''", `f.yml:1: key "name": missing; got the string "", want a string`},
		{"kind: cpu\nname:", `f.yml:2: key "name": missing; got nothing, want a string`},
		{"name: a\nname: b", `f.yml:2: key "name": set twice, first in line 1`},
		{"name: <namespace-with-application>", `f.yml:1: key "name": still a placeholder: got "<namespace-with-application>", want a string`},
		{"name: a\nworkers: <n>", `f.yml:2: key "workers": still a placeholder: got "<n>", want a whole number`},
		{"name: a\nselector:\n  app: <app>", `f.yml:3: key "selector.app": still a placeholder: got "<app>", want a string`},
		{"name: yes", `f.yml:1: key "name": got the boolean yes, want a string`},
		{"name: [a]", `f.yml:1: key "name": got a list, want a string`},
		{"name: a\nkind: cpus", `f.yml:2: key "kind": got "cpus", want one of "cpu", "memory", "io"; did you mean "cpu"?`},
		{"name: a\nworkers: many", `f.yml:2: key "workers": got the string "many", want a whole number`},
		{"name: a\nworkers: 1.5", `f.yml:2: key "workers": got the number 1.5, want a whole number`},
		{"name: a\nworkers: 0", `f.yml:2: key "workers": got 0, want at least 1`},
		{"name: a\nworkers: 100", `f.yml:2: key "workers": got 100, want at most 99`},
		{"name: a\nload: .nan", `f.yml:2: key "load": got the number .nan, want a number`},
		{"name: a\nload: .inf", `f.yml:2: key "load": got the number .inf, want a number`},
		{"name: a\non-exit: 1", `f.yml:2: key "on-exit": got the number 1, want true or false`},
		{"name: a\nduration: -1", `f.yml:2: key "duration": got the number -1, want seconds, or a duration such as "2m"`},
		{"name: a\nduration: -2m", `f.yml:2: key "duration": got the string "-2m", want seconds, or a duration such as "2m"`},
		{"name: a\nduration: 1d", `f.yml:2: key "duration": got the string "1d", want seconds, or a duration such as "2m"`},
		{"name: a\nduration: 99999999999999", `f.yml:2: key "duration": got the number 99999999999999, want seconds, or a duration such as "2m"`},
		{"name: a\nblock: {}", `f.yml:2: key "block": got a map, want a list, or a string`},
		{"name: a\nblock:\n- Ingress\n- Engress", `f.yml:4: key "block[1]": got "Engress", want one of "Ingress", "Egress"; did you mean "Egress"?`},
		{"name: a\nselector: {app: }", `f.yml:2: key "selector.app": got nothing, want a string`},
		{"name: a\nselector: {[a]: b}", `f.yml:2: key "selector": got a list as a key, want a string`},
		{"name: a\negress: {}", `f.yml:2: key "egress.rate": missing; want a string`},
		{"name: a\nports: [a, 1, ~]", "f.yml:2: key \"ports[0]\": got the string \"a\", want a whole number\nf.yml:2: key \"ports[2]\": got nothing, want a whole number"},
		{"name: a\nvolume: !!binary aGk=", `f.yml:2: key "volume": got a value tagged !!binary, want a plain value`},
		{"name: a\nvolume: !!python/object:os.system x", `f.yml:2: key "volume": got a value tagged !!python/object:os.system, want a plain value`},
		{"name: a\nvolume: {x: 1, x: 2}", `f.yml:2: key "volume.x": set twice, first in line 2`},
		{"name: a\nvolume: &v {x: 1}\negress: {<<: *v, rate: a}", `f.yml:2: key "egress.x": unknown; want one of "loss", "rate"`},
		{"name: a\negress: {<<: 3, rate: a}", `f.yml:2: key "egress.<<": got the number 3, want a map to merge`},
		// All at once, in the order of the file.
		{"x-y: 1\nkind: disk\nworkers: -3", "f.yml:1: key \"name\": missing; want a string\nf.yml:1: key \"x-y\": unknown\n" +
			"f.yml:2: key \"kind\": got \"disk\", want one of \"cpu\", \"memory\", \"io\"\nf.yml:3: key \"workers\": got -3, want at least 1"},
	} {
		_, got := check(t, every, test.in)
		if sortLines(got) != sortLines(test.want) {
			t.Errorf("%q:\n got %s\nwant %s", test.in, got, test.want)
		}
	}
}

// sortLines makes problems of the same line comparable; their order among themselves is not
// promised.
func sortLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		for j := i + 1; j < len(lines); j++ {
			if lines[j] < lines[i] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "\n")
}

func TestLongValuesAreCut(t *testing.T) {
	_, got := check(t, every, "name: a\nworkers: "+strings.Repeat("é", 5000))
	if len(got) > 300 || !strings.Contains(got, "é…") {
		t.Errorf("got %d bytes: %.300s", len(got), got)
	}
}

func TestManyProblemsAreCut(t *testing.T) {
	_, got := check(t, every, "name: a\nports: ["+strings.Repeat("x, ", 5000)+"]")
	lines := strings.Split(got, "\n")
	if len(lines) > 110 || lines[len(lines)-1] != "f.yml: and 4900 more" {
		t.Errorf("got %d lines, the last: %s", len(lines), lines[len(lines)-1])
	}
}
