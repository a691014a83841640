package builtins

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// Limits of one converted value. The API server accepts 3 MiB. Starlark lists may share elements,
// so a small value can have a huge JSON form.
const (
	maxDepth = 100
	maxNodes = 200_000
)

var (
	errDeep  = fmt.Errorf("the value is nested more than %d deep", maxDepth)
	errLarge = fmt.Errorf("the value has more than %d elements", maxNodes)
)

// toGo returns v in the types of encoding/json, except that integers are int64.
func toGo(v starlark.Value) (any, error) {
	c := converter{}
	return c.toGo(v, 0)
}

// JSON returns a value of a script as JSON.
func JSON(v starlark.Value) ([]byte, error) {
	plain, err := toGo(v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(plain)
}

type converter struct{ nodes int }

func (c *converter) toGo(v starlark.Value, depth int) (any, error) {
	c.nodes++
	if depth > maxDepth {
		return nil, errDeep
	}
	if c.nodes > maxNodes {
		return nil, errLarge
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return nil, nil
	case hidden:
		return nil, errHidden
	case starlark.Bool:
		return bool(v), nil
	case starlark.String:
		return string(v), nil
	case starlark.Int:
		i, ok := v.Int64()
		if !ok {
			return nil, fmt.Errorf("integer %s does not fit in 64 bits", v)
		}
		return i, nil
	case starlark.Float:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("float %s has no JSON form", v)
		}
		return float64(v), nil
	case starlark.IterableMapping:
		items := v.Items()
		m := make(map[string]any, len(items))
		for _, item := range items {
			key, ok := starlark.AsString(item[0])
			if !ok {
				return nil, fmt.Errorf("dict key %s is a %s, want a string", item[0], item[0].Type())
			}
			x, err := c.toGo(item[1], depth+1)
			if err != nil {
				return nil, within(fmt.Sprintf("[%q]", key), err)
			}
			m[key] = x
		}
		return m, nil
	case *starlarkstruct.Struct:
		m := map[string]any{}
		for _, name := range v.AttrNames() {
			field, err := v.Attr(name)
			if err != nil {
				return nil, err
			}
			x, err := c.toGo(field, depth+1)
			if err != nil {
				return nil, within("."+name, err)
			}
			m[name] = x
		}
		return m, nil
	case starlark.Iterable:
		list := []any{}
		it := v.Iterate()
		defer it.Done()
		var x starlark.Value
		for i := 0; it.Next(&x); i++ {
			y, err := c.toGo(x, depth+1)
			if err != nil {
				return nil, within(fmt.Sprintf("[%d]", i), err)
			}
			list = append(list, y)
		}
		return list, nil
	}
	return nil, fmt.Errorf("a %s has no JSON form", v.Type())
}

// pathError is an error about an element inside a value.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string { return "at " + e.path + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }

func within(step string, err error) error {
	if errors.Is(err, errDeep) || errors.Is(err, errLarge) {
		return err // no path: it would be as long as the value is deep
	}
	var p *pathError
	if errors.As(err, &p) {
		return &pathError{step + p.path, p.err}
	}
	return &pathError{step, err}
}

// toObject is toGo for a value that must be a dict.
func toObject(v starlark.Value) (map[string]any, error) {
	x, err := toGo(v)
	if err != nil {
		return nil, err
	}
	m, ok := x.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("got %s, want a dict", v.Type())
	}
	return m, nil
}

// toStarlark returns the output of encoding/json or of a YAML decoder as Starlark values. The keys
// of dicts are sorted, so that scripts always see the same order.
func toStarlark(x any) (starlark.Value, error) {
	c := converter{}
	return c.toStarlark(x, 0)
}

func (c *converter) toStarlark(x any, depth int) (starlark.Value, error) {
	c.nodes++
	if depth > maxDepth {
		return nil, errDeep
	}
	if c.nodes > maxNodes {
		return nil, errLarge
	}
	switch x := x.(type) {
	case nil:
		return starlark.None, nil
	case bool:
		return starlark.Bool(x), nil
	case string:
		return starlark.String(x), nil
	case hidden:
		return x, nil
	case int:
		return starlark.MakeInt(x), nil
	case int64:
		return starlark.MakeInt64(x), nil
	case uint64:
		return starlark.MakeUint64(x), nil
	case float64:
		return starlark.Float(x), nil
	case []any:
		list := make([]starlark.Value, len(x))
		for i := range x {
			v, err := c.toStarlark(x[i], depth+1)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return starlark.NewList(list), nil
	case map[string]any:
		d := starlark.NewDict(len(x))
		for _, k := range sortedKeys(x) {
			v, err := c.toStarlark(x[k], depth+1)
			if err != nil {
				return nil, err
			}
			if err := d.SetKey(starlark.String(k), v); err != nil {
				return nil, err
			}
		}
		return d, nil
	}
	return nil, fmt.Errorf("a %T has no Starlark form", x)
}
