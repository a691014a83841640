package schema

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/suggest"
)

// Type is what a field holds.
type Type string

// The types of fields.
const (
	String    Type = "string"    // text that is not blank; an unquoted number is taken as it is written
	Text      Type = "text"      // any scalar, as it is written: true, 1.10, 007 and null are text
	Label     Type = "label"     // a text that is the value of a label; the keys of a map of them are labels' keys
	Selector  Type = "selector"  // a label selector of Kubernetes, as it is written; not a blank one, which selects all
	Namespace Type = "namespace" // the name of a namespace, as it is written
	Int       Type = "int"       // a whole number: int64
	Number    Type = "number"    // int64 or float64, always finite
	Bool      Type = "bool"      // true, yes, on and their opposites
	Duration  Type = "duration"  // seconds, as int64 or float64; written as a number, "30s", "2m" or "1h30m"
	List      Type = "list"      // []any
	Map       Type = "map"       // map[string]any
	Any       Type = "any"       // whatever is written, unchecked, placeholders too
)

// wanted says in an error what a type wants.
var wanted = map[Type]string{
	String:    "a string",
	Text:      "a single value",
	Label:     "a label's value",
	Selector:  `a label selector such as "app=web,tier!=db"`,
	Namespace: "the name of a namespace",
	Int:       "a whole number",
	Number:    "a number",
	Bool:      "true or false",
	Duration:  `seconds, or a duration such as "2m"`,
	List:      "a list",
	Map:       "a map",
	Any:       "a value",
}

// Field declares one key. The zero value is of no use: set Type or Types.
type Field struct {
	Type     Type             // what it holds
	Types    []Type           // in place of Type: what it may hold; an exact fit wins, then the first that can take it
	Default  any              // its value when it isn't set; read-only, since results share it
	Required bool             // it must be set, and a string must not be empty
	Enum     []any            // the only scalar values; for the elements of a list say so in Items
	Min, Max *float64         // bounds of a number or a duration, inclusive
	Items    *Field           // what the elements of a list are; nil allows any
	Fields   map[string]Field // the keys of a map; nil allows any
	Values   *Field           // the values of a map whose keys are free; not together with Fields
	Secret   bool             // no error shows its value, nor those inside
	Unused   string           // the key is accepted and has no effect, and this is why; its value is not read
	Help     string           // for documentation only
}

func (f Field) types() []Type {
	if len(f.Types) > 0 {
		return f.Types
	}
	return []Type{f.Type}
}

func (f Field) takes(types ...Type) bool {
	return slices.ContainsFunc(f.types(), func(t Type) bool { return slices.Contains(types, t) })
}

// written reports whether a value of a type is the text that stands in the file.
func (t Type) written() bool { return t == Text || t == Label || t == Selector || t == Namespace }

// want says what the field wants, all alternatives.
func (f Field) want() string {
	var all []string
	for _, t := range f.types() {
		all = append(all, wanted[t])
	}
	return strings.Join(all, ", or ")
}

// ValidateFields reports declarations that contradict themselves. Check trusts the fields that it
// is given, so whoever takes them from a user's script calls this first.
func ValidateFields(fields map[string]Field) error {
	var errs []error
	for _, name := range sorted(fields) {
		errs = append(errs, fields[name].validate(name))
	}
	return errors.Join(errs...)
}

func (f Field) validate(path string) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("field %q: %s", path, fmt.Sprintf(format, args...)))
	}
	if f.Type != "" && len(f.Types) > 0 {
		bad("has both a type and alternatives")
	}
	for _, t := range f.types() {
		if wanted[t] == "" {
			bad("got type %q, want one of %s", t, list(typeNames()))
		}
	}
	if (f.Min != nil || f.Max != nil) && !f.takes(Int, Number, Duration) {
		bad("has bounds and is no number")
	}
	if f.Min != nil && f.Max != nil && *f.Min > *f.Max {
		bad("has a minimum of %v above its maximum of %v", *f.Min, *f.Max)
	}
	if f.Items != nil && !f.takes(List) {
		bad("has items and is no list")
	}
	if (f.Fields != nil || f.Values != nil) && !f.takes(Map) {
		bad("has keys and is no map")
	}
	if f.Fields != nil && f.Values != nil {
		bad("has both declared and free keys")
	}
	if f.Required && f.Default != nil {
		bad("is required, so its default is never used")
	}
	if f.Default != nil && !f.holds(f.Default) {
		bad("got the default %v, which the field itself would refuse", f.Default)
	}
	if f.Items != nil {
		errs = append(errs, f.Items.validate(path+"[]"))
	}
	if f.Values != nil {
		errs = append(errs, f.Values.validate(path+".*"))
	}
	for _, name := range sorted(f.Fields) {
		errs = append(errs, f.Fields[name].validate(path+"."+name))
	}
	return errors.Join(errs...)
}

// holds reports whether the plain value v is one that Check could return for the field. The empty
// string is always one: Krkn's files write it for "not set", and scripts declare it as a default.
func (f Field) holds(v any) bool {
	if v == "" {
		return true
	}
	fits := slices.ContainsFunc(f.types(), func(t Type) bool {
		switch v.(type) {
		case string:
			return t == String || t.written() || t == Any
		case bool:
			return t == Bool || t == Any
		case int, int64:
			return t == Int || t == Number || t == Duration || t == Any
		case float64:
			return t == Number || t == Duration || t == Any
		case []any:
			return t == List || t == Any
		case map[string]any:
			return t == Map || t == Any
		}
		return false
	})
	return fits && f.broken(v) == ""
}

// broken says how v breaks the field's enum or bounds, "" if it doesn't.
func (f Field) broken(v any) string {
	switch v.(type) {
	case []any, map[string]any:
		return ""
	}
	if len(f.Enum) > 0 && !slices.ContainsFunc(f.Enum, func(e any) bool { return same(e, v) }) {
		var all []string
		for _, e := range f.Enum {
			all = append(all, fmt.Sprint(e))
		}
		text := fmt.Sprintf("got %s, want one of %s", show(v), list(all))
		if s := suggest.Nearest(fmt.Sprint(v), all); s != "" {
			text += fmt.Sprintf("; did you mean %q?", s)
		}
		return text
	}
	n, ok := float(v)
	switch {
	case !ok:
		return ""
	case f.Min != nil && n < *f.Min:
		return fmt.Sprintf("got %v, want at least %v", v, *f.Min)
	case f.Max != nil && n > *f.Max:
		return fmt.Sprintf("got %v, want at most %v", v, *f.Max)
	}
	return ""
}

// same compares plain values; whoever declares an enum need not know that whole numbers are int64.
func same(a, b any) bool {
	x, ok1 := float(a)
	y, ok2 := float(b)
	if ok1 && ok2 {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return math.NaN(), false
}

func typeNames() []string {
	var names []string
	for _, t := range sorted(wanted) {
		names = append(names, string(t))
	}
	return names
}
