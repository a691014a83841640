package schema_test

import (
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/schema"
)

func TestValidateFields(t *testing.T) {
	if err := schema.ValidateFields(every); err != nil {
		t.Errorf("the fields of the other tests: %v", err)
	}
	for _, test := range []struct {
		name  string
		field schema.Field
		want  string
	}{
		{"no type", schema.Field{}, `field "f": got type "", want one of "any", "bool", "duration", "int", "label", "list", "map", "namespace", "number", "selector", "string", "text"`},
		{"wrong type", schema.Field{Type: "integer"}, `field "f": got type "integer"`},
		{"both", schema.Field{Type: schema.Int, Types: []schema.Type{schema.String}}, "both a type and alternatives"},
		{"default", schema.Field{Type: schema.Int, Default: "x"}, "got the default x, which the field itself would refuse"},
		{"default beyond", schema.Field{Type: schema.Int, Max: ptr(3), Default: int64(4)}, "got the default 4"},
		{"default not in enum", schema.Field{Type: schema.String, Enum: []any{"a"}, Default: "b"}, "got the default b"},
		{"required default", schema.Field{Type: schema.Int, Required: true, Default: int64(4)}, "its default is never used"},
		{"bounds", schema.Field{Type: schema.String, Min: ptr(1)}, "has bounds and is no number"},
		{"crossed", schema.Field{Type: schema.Int, Min: ptr(2), Max: ptr(1)}, "a minimum of 2 above its maximum of 1"},
		{"items", schema.Field{Type: schema.Map, Items: &text}, "has items and is no list"},
		{"keys", schema.Field{Type: schema.List, Values: &text}, "has keys and is no map"},
		{"two kinds of keys", schema.Field{Type: schema.Map, Values: &text, Fields: map[string]schema.Field{}}, "both declared and free keys"},
		{"inner", schema.Field{Type: schema.List, Items: &schema.Field{Type: schema.Map, Fields: map[string]schema.Field{"a": {Type: "x"}}}}, `field "f[].a": got type "x"`},
	} {
		err := schema.ValidateFields(map[string]schema.Field{"f": test.field})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	for _, ok := range []schema.Field{
		{Type: schema.Int, Default: ""}, {Type: schema.Int, Default: 3}, {Type: schema.Number, Default: int64(3)},
		{Type: schema.Duration, Default: 1.5}, {Type: schema.List, Default: []any{}}, {Type: schema.Any, Default: map[string]any{}},
	} {
		if err := schema.ValidateFields(map[string]schema.Field{"f": ok}); err != nil {
			t.Error(err)
		}
	}
}
