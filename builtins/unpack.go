package builtins

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	starlarktime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
)

// field is a parameter: a field of the struct that holds the arguments.
type field struct {
	index    int
	tag      string // for starlark.UnpackArgs
	name     string
	optional bool
	rest     bool // it collects the remaining arguments by name
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("star")
		if !ok {
			panic(fmt.Sprintf("%s.%s names no parameter", t, t.Field(i).Name))
		}
		f := field{index: i, tag: tag, name: strings.Trim(tag, "?*"), optional: strings.HasSuffix(tag, "?"), rest: strings.HasPrefix(tag, "**")}
		fields = append(fields, f)
	}
	return fields
}

func signature(name string, access Access, fields []field, defaults reflect.Value) Signature {
	s := Signature{Name: name, Access: access}
	for _, f := range fields {
		if f.rest {
			s.Named, s.Rest = true, f.name
			continue
		}
		value := defaults.Field(f.index)
		p := Param{Name: f.name, Optional: f.optional, Type: typeName(value)}
		if f.optional {
			p.Default = literal(value)
		}
		s.Params = append(s.Params, p)
	}
	return s
}

// unpack stores the arguments of a call in the struct that a points to.
func (f *function) unpack(a any, args starlark.Tuple, kwargs []starlark.Tuple) error {
	if f.Named && len(args) > 0 {
		return fmt.Errorf("%s: got a positional argument %s, want name = value", f.Name, args[0])
	}
	values := reflect.ValueOf(a).Elem()
	pairs := make([]any, 0, 2*len(f.fields))
	for _, field := range f.fields {
		if field.rest {
			values.Field(field.index).Set(reflect.ValueOf(kwargs))
			kwargs = nil
			continue
		}
		pairs = append(pairs, field.tag, values.Field(field.index).Addr().Interface())
	}
	if err := starlark.UnpackArgs(f.Name, args, kwargs, pairs...); err != nil {
		// One form of the message, whether or not the parameter was given by name: it is easier to
		// read and to find.
		return errors.New(quotedParameter.ReplaceAllString(err.Error(), "${1}for parameter $2:"))
	}
	// UnpackArgs treats every parameter after an optional one as optional.
	for i, field := range f.fields {
		given := i < len(args) || slices.ContainsFunc(kwargs, func(kv starlark.Tuple) bool { return kv[0] == starlark.String(field.name) })
		if !field.optional && !field.rest && !given {
			return fmt.Errorf("%s: missing argument for %s", f.Name, field.name)
		}
	}
	return nil
}

var quotedParameter = lazyregexp.New(`^([\w.]+: )for parameter "(\w+)":`)

// parameter is implemented by types of arguments that unpack themselves.
type parameter interface{ typeName() string }

// typeName describes for people which values a parameter takes.
func typeName(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case parameter:
		return x.typeName()
	case string, bool, int:
		return v.Type().String()
	}
	switch v.Type() {
	case reflect.TypeFor[starlark.Value]():
		return "any"
	case reflect.TypeFor[starlark.Callable](), reflect.TypeFor[*starlark.Function]():
		return "function"
	case reflect.TypeFor[starlark.Iterable]():
		return "list"
	}
	panic(fmt.Sprintf("a parameter can't be a %s", v.Type()))
}

// literal returns the default of a parameter as Starlark source.
func literal(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case interface{ literal() string }:
		return x.literal()
	case string:
		return syntax.Quote(x, false)
	case bool:
		return starlark.Bool(x).String()
	case int:
		return strconv.Itoa(x)
	case starlark.Value:
		if !v.IsZero() {
			return x.String()
		}
	}
	return "None"
}

// seconds is a number of seconds, or a duration of the time module.
type seconds time.Duration

// Unpack implements starlark.Unpacker.
func (s *seconds) Unpack(v starlark.Value) error {
	if d, ok := v.(starlarktime.Duration); ok {
		if d < 0 {
			return fmt.Errorf("got %s, want at least 0", time.Duration(d))
		}
		*s = seconds(d)
		return nil
	}
	f, ok := starlark.AsFloat(v)
	switch {
	case !ok:
		return fmt.Errorf("got %s, want a number of seconds", v.Type())
	case math.IsNaN(f) || f < 0 || f > float64(math.MaxInt64/int64(time.Second)):
		return fmt.Errorf("got %s seconds, want 0 or more, and less than 292 years", v)
	}
	*s = seconds(f * float64(time.Second))
	return nil
}

func (seconds) typeName() string  { return "number or duration" }
func (s seconds) literal() string { return fmt.Sprint(time.Duration(s).Seconds()) }

// wholeSeconds is a number of whole seconds; nil if none is given.
type wholeSeconds struct{ *int64 }

// Unpack implements starlark.Unpacker.
func (s *wholeSeconds) Unpack(v starlark.Value) error {
	var n int64
	if err := starlark.AsInt(v, &n); err != nil || n < 0 {
		return fmt.Errorf("got %s, want a number of whole seconds", v)
	}
	s.int64 = &n
	return nil
}

func (wholeSeconds) typeName() string { return "int" }
func (wholeSeconds) literal() string  { return "None" }

// names is a list of strings without duplicates.
type names []string

// Unpack implements starlark.Unpacker.
func (n *names) Unpack(v starlark.Value) error {
	list, err := unpackList(v, func(i int, x starlark.Value) (string, error) {
		name, ok := starlark.AsString(x)
		switch {
		case !ok:
			return "", fmt.Errorf("element %d is a %s, want a string", i, x.Type())
		case name == "":
			return "", fmt.Errorf("element %d is empty", i)
		}
		return name, nil
	})
	*n = names{}
	for _, name := range list {
		if !slices.Contains(*n, name) {
			*n = append(*n, name)
		}
	}
	return err
}

func (names) typeName() string { return "list of strings" }

// words is a command with its arguments.
type words []string

// Unpack implements starlark.Unpacker.
func (w *words) Unpack(v starlark.Value) (err error) {
	if _, ok := v.(*starlark.List); !ok {
		return fmt.Errorf("got %s, want list", v.Type())
	}
	*w, err = unpackList(v, func(i int, x starlark.Value) (string, error) {
		word, ok := starlark.AsString(x)
		if !ok {
			return "", fmt.Errorf("element %d is a %s, want a string", i, x.Type())
		}
		return word, nil
	})
	return err
}

func (words) typeName() string { return "list of strings" }

// dict is a dict that can be written as JSON, converted to Go values.
type dict map[string]any

// Unpack implements starlark.Unpacker.
func (d *dict) Unpack(v starlark.Value) error {
	m, err := toObject(v)
	*d = m
	return err
}

func (dict) typeName() string { return "dict" }

// unpackList unpacks an iterable.
func unpackList[T any](v starlark.Value, element func(i int, x starlark.Value) (T, error)) ([]T, error) {
	iterable, ok := v.(starlark.Iterable)
	if !ok {
		return nil, fmt.Errorf("got %s, want iterable", v.Type())
	}
	it := iterable.Iterate()
	defer it.Done()
	var list []T
	var x starlark.Value
	for i := 0; it.Next(&x); i++ {
		y, err := element(i, x)
		if err != nil {
			return nil, err
		}
		list = append(list, y)
	}
	return list, nil
}
