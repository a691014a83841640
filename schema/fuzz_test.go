package schema_test

import (
	"math"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/schema"
)

// FuzzCheck: whatever is written, checking ends, every declared key has a value of its type, and
// every problem has a place.
func FuzzCheck(f *testing.F) {
	for _, in := range []string{
		"name: a\nkind: cpu\nworkers: ''\nload: 1e3\non-exit: yes\nduration: 2m\n",
		"name: &a x\nvolume: {<<: {a: *a}, b: [*a]}\n? [c]\n: d\n",
		"name: !!int 'x'\nload: 1_0.5\nport: 0o17\nvolume: 1:30\nports: [-0x1, 0b1]\n",
		"egress: {rate: <x>, loss: .inf}\nname: |-\n  a\n", "a: &a {<<: [*a, *a]}", "\xff", "- - - a", "a:\n#c\n #d\n- b",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := schema.Documents("f.yml", data, "", false)
		if err != nil {
			return
		}
		values, problems := docs[0].Check(every)
		for _, p := range problems {
			if p.Line < 1 || p.File != "f.yml" || p.Message == "" {
				t.Fatalf("problem without a place: %#v", p)
			}
		}
		if len(values) != len(every) {
			t.Fatalf("got %d values, want %d", len(values), len(every))
		}
		if len(problems) > 0 {
			return
		}
		if n, ok := values["duration"].(float64); ok && (n < 0 || math.IsNaN(n) || math.IsInf(n, 0)) {
			t.Fatalf("got the duration %v", n)
		}
		if _, ok := values["name"].(string); !ok {
			t.Fatalf("got the name %#v", values["name"])
		}
		for key, v := range values {
			if !isPlain(v) {
				t.Fatalf("%s: got %#v, want plain values", key, v)
			}
		}
	})
}

func isPlain(v any) bool {
	switch v := v.(type) {
	case nil, string, bool, int64:
		return true
	case float64:
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	case []any:
		for _, e := range v {
			if !isPlain(e) {
				return false
			}
		}
		return true
	case map[string]any:
		for _, e := range v {
			if !isPlain(e) {
				return false
			}
		}
		return true
	}
	return false
}

// Plain values that the YAML library writes come back the same through an Any field.
func TestAnyRoundTrips(t *testing.T) {
	str := rapid.OneOf(rapid.StringMatching(`([!-~é][ -~é\n\t]*)?`), rapid.SampledFrom([]string{"yes", "No", "on", "1", "0x1", "~", "null", "<<", "<a>", "1e3", "", " a"}))
	leaf := rapid.OneOf(
		rapid.Map(str, func(s string) any { return s }),
		rapid.Map(rapid.Int64(), func(i int64) any { return i }),
		rapid.Map(rapid.Float64Range(-1e300, 1e300), func(f float64) any { return f }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Just[any](nil),
	)
	value := rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(leaf, 0, 4), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(str, leaf, 0, 4), func(m map[string]any) any { return m }),
	)
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]any{"volume": value.Draw(t, "value"), "name": "a"}
		data, err := yaml.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		root, err := schema.Parse("f.yml", data)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, data)
		}
		got, problems := schema.Check("f.yml", root, map[string]schema.Field{"volume": {Type: schema.Any}, "name": {Type: schema.String}})
		if len(problems) > 0 {
			t.Fatalf("%v in:\n%s", problems, data)
		}
		// A whole float is written as a whole number.
		same := cmp.FilterValues(func(a, b any) bool { return number(a) && number(b) }, cmp.Comparer(func(a, b any) bool { return float(a) == float(b) }))
		if d := cmp.Diff(want, got, same); d != "" {
			t.Fatalf("%s in:\n%s", d, data)
		}
	})
}

func number(v any) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}

func float(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v.(float64)
}
