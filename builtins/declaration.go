package builtins

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
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
	Override bool // it replaces the built-in scenario of the same type
}

// Right is a right that a scenario and its undo need.
type Right struct {
	Verbs    []string // "get", "create", …
	Resource string   // "pods", "pods/exec", "networkpolicies.networking.k8s.io"
}

// value is a declaration as a script value. A script can only assign it.
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

// DeclarationOf returns the declaration in v, if there is one.
func DeclarationOf(v starlark.Value) (*Declaration, bool) {
	s, ok := v.(*declarationValue)
	if !ok {
		return nil, false
	}
	return &s.Declaration, true
}

var declarationFunctions = []*function{
	builtin("Scenario", Pure, scenarioArgs{}, makeScenario),
	builtin("field", Pure, fieldArgs{Type: fieldTypes{schema.String}, Default: starlark.None}, makeField),
	builtin("right", Pure, rightArgs{}, makeRight),
}

type scenarioArgs struct {
	Type     string      `star:"type"`
	Fields   fieldsByKey `star:"fields"`
	Rights   rights      `star:"rights"`
	Help     string      `star:"help"`
	Root     string      `star:"root?"`
	List     bool        `star:"list?"`
	Override bool        `star:"override?"`
}

func makeScenario(_ *call, a *scenarioArgs) (starlark.Value, error) {
	// The type is used as a label value and in file names.
	if problems := validation.IsValidLabelValue(a.Type); a.Type == "" || len(problems) > 0 {
		return nil, fmt.Errorf("for parameter type: %q must be a label value: letters, digits, '_', '-' and '.', at most 63 of them", a.Type)
	}
	attrs := map[string]string{}
	for _, key := range sortedKeys(a.Fields) {
		if other, ok := attrs[attrName(key)]; ok {
			return nil, fmt.Errorf("for parameter fields: %q and %q would be the same attribute of config", other, key)
		}
		attrs[attrName(key)] = key
	}
	return &declarationValue{
		value{"scenario", fmt.Sprintf("Scenario(type = %q)", a.Type)},
		Declaration{Kind: a.Type, Root: a.Root, List: a.List, Fields: a.Fields, Rights: a.Rights, Help: a.Help, Override: a.Override},
	}, nil
}

type rightArgs struct {
	Verbs    string `star:"verbs"`
	Resource string `star:"resource"`
}

func makeRight(_ *call, a *rightArgs) (starlark.Value, error) {
	r := rightValue{value{"right", fmt.Sprintf("right(%q, %q)", a.Verbs, a.Resource)}, Right{strings.Fields(a.Verbs), a.Resource}}
	if len(r.Verbs) == 0 || a.Resource == "" {
		return nil, errors.New("verbs and resource must not be empty")
	}
	return r, nil
}

// rights is a list of right(…).
type rights []Right

// Unpack implements starlark.Unpacker.
func (r *rights) Unpack(v starlark.Value) (err error) {
	*r, err = unpackList(v, func(_ int, x starlark.Value) (Right, error) {
		right, ok := x.(rightValue)
		if !ok {
			return Right{}, fmt.Errorf("got %s, want right(verbs, resource)", x.Type())
		}
		return right.Right, nil
	})
	return err
}

func (rights) typeName() string { return "list of right" }

type fieldArgs struct {
	Type     fieldTypes        `star:"type?"`
	Default  starlark.Value    `star:"default?"`
	Required bool              `star:"required?"`
	Enum     starlark.Iterable `star:"enum??"`
	Min      bound             `star:"min??"`
	Max      bound             `star:"max??"`
	Items    oneField          `star:"items??"`
	Fields   fieldsByKey       `star:"fields??"`
	Values   oneField          `star:"values??"`
	Help     string            `star:"help?"`
	Secret   bool              `star:"secret?"`
	Unused   string            `star:"unused?"`
}

func makeField(_ *call, a *fieldArgs) (starlark.Value, error) {
	f := &fieldValue{value: value{"field", "field(…)"}, field: schema.Field{
		Required: a.Required, Min: a.Min.float64, Max: a.Max.float64, Items: a.Items.Field, Fields: a.Fields, Values: a.Values.Field, Help: a.Help, Secret: a.Secret, Unused: a.Unused,
	}}
	if len(a.Type) == 1 {
		f.field.Type = a.Type[0]
	} else {
		f.field.Types = a.Type
	}
	var err error
	if f.field.Default, err = toGo(a.Default); err != nil {
		return nil, fmt.Errorf("for parameter default: %w", err)
	}
	if f.field.Required && f.field.Default != nil {
		return nil, fmt.Errorf("a required field has no default, got %s", a.Default)
	}
	if a.Enum != nil {
		list, err := toGo(a.Enum)
		if err != nil {
			return nil, fmt.Errorf("for parameter enum: %w", err)
		}
		enum, ok := list.([]any)
		if !ok {
			return nil, fmt.Errorf("for parameter enum: got %s, want list", a.Enum.Type())
		}
		f.field.Enum = enum
	}
	return f, nil
}

// fieldTypes is one type, or a list of the allowed types.
type fieldTypes []schema.Type

var allTypes = []schema.Type{schema.String, schema.Text, schema.Label, schema.Selector, schema.Namespace, schema.Int, schema.Number, schema.Bool, schema.Duration, schema.List, schema.Map, schema.Any}

// Unpack implements starlark.Unpacker.
func (t *fieldTypes) Unpack(v starlark.Value) error {
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
		return errors.New("got an empty list")
	}
	for _, name := range types {
		if !slices.Contains(allTypes, name) {
			return fmt.Errorf("got %q, want one of %q", name, allTypes)
		}
	}
	*t = types
	return nil
}

func (fieldTypes) typeName() string  { return "string or list of strings" }
func (t fieldTypes) literal() string { return syntax.Quote(string(t[0]), false) }

// bound is a limit of a number; nil if none is given.
type bound struct{ *float64 }

// Unpack implements starlark.Unpacker.
func (b *bound) Unpack(v starlark.Value) error {
	f, ok := starlark.AsFloat(v)
	if !ok {
		return fmt.Errorf("got %s, want a number", v.Type())
	}
	b.float64 = &f
	return nil
}

func (bound) typeName() string { return "number" }
func (bound) literal() string  { return "None" }

// oneField is a field(…); nil if none is given.
type oneField struct{ *schema.Field }

// Unpack implements starlark.Unpacker.
func (f *oneField) Unpack(v starlark.Value) error {
	x, ok := v.(*fieldValue)
	if !ok {
		return fmt.Errorf("got %s, want field(…)", v.Type())
	}
	f.Field = &x.field
	return nil
}

func (oneField) typeName() string { return "field" }
func (oneField) literal() string  { return "None" }

// fieldsByKey is a dict of name to field(…).
type fieldsByKey map[string]schema.Field

// Unpack implements starlark.Unpacker.
func (f *fieldsByKey) Unpack(v starlark.Value) error {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf("got %s, want dict", v.Type())
	}
	*f = make(fieldsByKey, d.Len())
	for _, item := range d.Items() {
		key, ok := starlark.AsString(item[0])
		if !ok {
			return fmt.Errorf("key %s is a %s, want a string", item[0], item[0].Type())
		}
		x, ok := item[1].(*fieldValue)
		if !ok {
			return fmt.Errorf("key %q is a %s, want field(…)", key, item[1].Type())
		}
		(*f)[key] = x.field
	}
	return nil
}

func (fieldsByKey) typeName() string { return "dict of field" }
func (fieldsByKey) literal() string  { return "None" }

// attrName is the attribute of config for a key of a scenario file: config.hog_type for hog-type.
func attrName(key string) string { return strings.ReplaceAll(key, "-", "_") }

// ConfigValue returns checked values as the config of a script. A declared key is an attribute,
// with '_' for '-'. A map with arbitrary keys is a dict.
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
	s.Freeze() // because the threads of parallel share it
	return s, nil
}

// ConfigNames returns the names that fields have in a [ConfigValue], sorted.
func ConfigNames(fields map[string]schema.Field) []string {
	var names []string
	for key := range fields {
		names = append(names, attrName(key))
	}
	slices.Sort(names)
	return names
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
