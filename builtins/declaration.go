package builtins

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ebb-chaos/ebb/schema"
)

// Declaration is a script's declaration of its scenario type.
type Declaration struct {
	Kind     string // the type as config.yaml names it: "hog_scenarios"
	Root     string // the key under which a scenario file holds its fields, "" for none
	List     bool   // a scenario file is a list of such maps
	Fields   map[string]schema.Field
	Rights   []Right
	Help     string
	Override bool // it replaces a built-in scenario of the same type
}

// Right is what a scenario and its undo need to be allowed.
type Right struct {
	Verbs    []string // "get", "create", …
	Resource string   // "pods", "pods/exec", "networkpolicies.networking.k8s.io"
}

// value is a declaration as scripts see it: something to assign, no more.
type value struct {
	kind string
	text string
}

func (v value) String() string        { return v.text }
func (v value) Type() string          { return v.kind }
func (value) Freeze()                 {}
func (value) Truth() starlark.Bool    { return true }
func (v value) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable type: %s", v.kind) }

type declarationValue struct {
	value
	Declaration
}

type fieldValue struct {
	value
	field schema.Field
}

type rightValue struct {
	value
	Right
}

// DeclarationOf returns the declaration that v holds, if it is one.
func DeclarationOf(v starlark.Value) (*Declaration, bool) {
	s, ok := v.(*declarationValue)
	if !ok {
		return nil, false
	}
	return &s.Declaration, true
}

func makeScenario(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	s := &declarationValue{}
	var fields *starlark.Dict
	var rights starlark.Iterable
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "type", &s.Kind, "fields", &fields, "rights", &rights, "help", &s.Help,
		"root?", &s.Root, "list?", &s.List, "override?", &s.Override); err != nil {
		return nil, err
	}
	// The type becomes a label's value and a part of file names.
	if problems := validation.IsValidLabelValue(s.Kind); s.Kind == "" || len(problems) > 0 {
		return nil, fmt.Errorf("%s: for parameter type: %q must be a label value: letters, digits, '_', '-' and '.', at most 63 of them", b.Name(), s.Kind)
	}
	var err error
	if s.Fields, err = unpackFields(fields); err != nil {
		return nil, fmt.Errorf("%s: for parameter fields: %w", b.Name(), err)
	}
	attrs := map[string]string{}
	for key := range s.Fields {
		if other, ok := attrs[attrName(key)]; ok {
			return nil, fmt.Errorf("%s: for parameter fields: %q and %q would be the same attribute of config", b.Name(), other, key)
		}
		attrs[attrName(key)] = key
	}
	it := rights.Iterate()
	defer it.Done()
	for x := starlark.Value(nil); it.Next(&x); {
		r, ok := x.(rightValue)
		if !ok {
			return nil, fmt.Errorf("%s: for parameter rights: got %s, want right(verbs, resource)", b.Name(), x.Type())
		}
		s.Rights = append(s.Rights, r.Right)
	}
	s.value = value{"scenario", fmt.Sprintf("Scenario(type = %q)", s.Kind)}
	return s, nil
}

func makeRight(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var verbs, resource string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "verbs", &verbs, "resource", &resource); err != nil {
		return nil, err
	}
	r := rightValue{value{"right", fmt.Sprintf("right(%q, %q)", verbs, resource)}, Right{strings.Fields(verbs), resource}}
	if len(r.Verbs) == 0 || resource == "" {
		return nil, fmt.Errorf("%s: verbs and resource must not be empty", b.Name())
	}
	return r, nil
}

func makeField(_ *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	f := &fieldValue{value: value{"field", "field(…)"}}
	var kind starlark.Value = starlark.String(schema.String)
	var def, low, high starlark.Value = starlark.None, starlark.None, starlark.None
	var enum starlark.Iterable
	var items, values *fieldValue
	var fields *starlark.Dict
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "type?", &kind, "default?", &def, "required?", &f.field.Required, "enum?", &enum,
		"min?", &low, "max?", &high, "items?", &items, "fields?", &fields, "values?", &values, "help?", &f.field.Help, "secret?", &f.field.Secret); err != nil {
		return nil, err
	}
	if err := f.unpackTypes(kind); err != nil {
		return nil, fmt.Errorf("%s: for parameter type: %w", b.Name(), err)
	}
	var err error
	if f.field.Default, err = toGo(def); err != nil {
		return nil, fmt.Errorf("%s: for parameter default: %w", b.Name(), err)
	}
	if f.field.Required && f.field.Default != nil {
		return nil, fmt.Errorf("%s: a required field has no default, got %s", b.Name(), def)
	}
	if enum != nil {
		list, err := toGo(enum)
		if err != nil {
			return nil, fmt.Errorf("%s: for parameter enum: %w", b.Name(), err)
		}
		f.field.Enum = list.([]any)
	}
	if f.field.Min, err = bound(low); err != nil {
		return nil, fmt.Errorf("%s: for parameter min: %w", b.Name(), err)
	}
	if f.field.Max, err = bound(high); err != nil {
		return nil, fmt.Errorf("%s: for parameter max: %w", b.Name(), err)
	}
	if items != nil {
		f.field.Items = &items.field
	}
	if values != nil {
		f.field.Values = &values.field
	}
	if fields != nil {
		if f.field.Fields, err = unpackFields(fields); err != nil {
			return nil, fmt.Errorf("%s: for parameter fields: %w", b.Name(), err)
		}
	}
	return f, nil
}

var fieldTypes = []schema.Type{schema.String, schema.Int, schema.Number, schema.Bool, schema.Duration, schema.List, schema.Map, schema.Any}

// unpackTypes reads one type, or a list of those that may stand there.
func (f *fieldValue) unpackTypes(v starlark.Value) error {
	var types []schema.Type
	switch v := v.(type) {
	case starlark.String:
		types = []schema.Type{schema.Type(v)}
	case starlark.Sequence:
		it := v.Iterate()
		defer it.Done()
		for x := starlark.Value(nil); it.Next(&x); {
			name, ok := starlark.AsString(x)
			if !ok {
				return fmt.Errorf("got a list with a %s, want strings", x.Type())
			}
			types = append(types, schema.Type(name))
		}
	default:
		return fmt.Errorf("got %s, want a string or a list of strings", v.Type())
	}
	if len(types) == 0 {
		return fmt.Errorf("got an empty list")
	}
	for _, t := range types {
		if !slices.Contains(fieldTypes, t) {
			return fmt.Errorf("got %q, want one of %q", t, fieldTypes)
		}
	}
	if len(types) == 1 {
		f.field.Type = types[0]
	} else {
		f.field.Types = types
	}
	return nil
}

func bound(v starlark.Value) (*float64, error) {
	if v == starlark.None {
		return nil, nil
	}
	f, ok := starlark.AsFloat(v)
	if !ok {
		return nil, fmt.Errorf("got %s, want a number", v.Type())
	}
	return &f, nil
}

func unpackFields(d *starlark.Dict) (map[string]schema.Field, error) {
	fields := make(map[string]schema.Field, d.Len())
	for _, item := range d.Items() {
		key, ok := starlark.AsString(item[0])
		if !ok {
			return nil, fmt.Errorf("key %s is a %s, want a string", item[0], item[0].Type())
		}
		f, ok := item[1].(*fieldValue)
		if !ok {
			return nil, fmt.Errorf("key %q is a %s, want field(…)", key, item[1].Type())
		}
		fields[key] = f.field
	}
	return fields, nil
}

// attrName is how scripts write a key of a scenario file: config.hog_type is hog-type.
func attrName(key string) string { return strings.ReplaceAll(key, "-", "_") }

// ConfigValue returns checked values as scripts get them: declared keys are
// attributes, with '_' for '-', and maps whose keys are free are dicts.
func ConfigValue(values map[string]any, fields map[string]schema.Field) (starlark.Value, error) {
	attrs := starlark.StringDict{}
	for key, x := range values {
		v, err := configValue(x, fields[key])
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		attrs[attrName(key)] = v
	}
	s := starlarkstruct.FromStringDict(starlark.String("config"), attrs)
	s.Freeze() // the threads of parallel share it
	return s, nil
}

func configValue(x any, f schema.Field) (starlark.Value, error) {
	switch x := x.(type) {
	case map[string]any:
		if f.Fields != nil {
			return ConfigValue(x, f.Fields)
		}
	case []any:
		if f.Items != nil {
			list := make([]starlark.Value, len(x))
			for i := range x {
				v, err := configValue(x[i], *f.Items)
				if err != nil {
					return nil, err
				}
				list[i] = v
			}
			return starlark.NewList(list), nil
		}
	}
	return toStarlark(x)
}
