package schema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/schema"
)

func TestDocuments(t *testing.T) {
	fields := map[string]schema.Field{"id": {Type: schema.String, Required: true}}
	for _, test := range []struct {
		name, in, root string
		list           bool
		want           string // the ids, or the problems
	}{
		{"flat", "id: a", "", false, "a"},
		{"root", "outage:\n  id: a", "outage", false, "a"},
		{"list", "- id: a\n- id: b", "", true, "a b"},
		{"list of roots", "- load:\n    id: a\n- load: {id: b}", "load", true, "a b"},
		{"alias", "- &x {id: a}\n- *x", "", true, "a a"},
		{"not a map", "[a]", "", false, "f.yml:1: got a list, want a map"},
		{"a scalar", "a", "outage", false, `f.yml:1: got the string "a", want a map with the key "outage"`},
		{"wrong root", "outge:\n  id: a", "outage", false,
			"f.yml:1: key \"outge\": unknown; did you mean \"outage\"?\nf.yml:1: key \"outage\": missing; want a map with the scenario's keys"},
		{"empty root", "# first\noutage:", "outage", false, `f.yml:2: key "outage": got nothing, want a map with the scenario's keys`},
		{"key beside the root", "outage: {id: a}\nid: b", "outage", false, `f.yml:2: key "id": unknown; want one of "outage"`},
		{"root twice", "outage: {id: a}\noutage: {id: b}", "outage", false, `f.yml:2: key "outage": set twice, first in line 1`},
		{"no list", "id: a", "", true, `f.yml:1: got a map, want a list of maps: start each with "- "`},
		{"empty list", "[]", "", true, "f.yml:1: got an empty list, want a list of maps"},
		{"bad element", "- id: a\n- b\n- load:", "load", true,
			"f.yml:2: key \"[1]\": got the string \"b\", want a map with the key \"load\"\n" +
				"f.yml:3: key \"[2].load\": got nothing, want a map with the scenario's keys"},
		{"a list without the root", "- load: {id: a}\n- id: b", "load", true, "a b"}, // as Krkn reads it
		{"nearly the root", "- lod: {id: a}", "load", true,
			"f.yml:1: key \"[0].lod\": unknown; did you mean \"load\"?\nf.yml:1: key \"[0].load\": missing; want a map with the scenario's keys"},
		{"anchors", "x: &a b\noutage: {id: *a}", "outage", false, "b"},
		{"anchors of flat maps", "x: &a b\nid: *a", "", false, "b"},
		{"an anchor at a slip", "idd: &a b\nid: *a", "", false, `f.yml:1: key "idd": unknown; did you mean "id"?`},
		{"path in problems", "- load: {id: a}\n- load: {}", "load", true, `f.yml:2: key "[1].load.id": missing; want a string`},
	} {
		t.Run(test.name, func(t *testing.T) {
			docs, err := schema.Documents("f.yml", []byte(test.in), test.root, test.list)
			var ids []string
			for _, d := range docs {
				values, problems := d.Check(fields)
				if err == nil {
					err = problems.Err()
				}
				if id, ok := values["id"].(string); ok {
					ids = append(ids, id)
				}
			}
			got := strings.Join(ids, " ")
			if err != nil {
				got = err.Error()
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
