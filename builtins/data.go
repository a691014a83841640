package builtins

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.yaml.in/yaml/v3"
)

// The data formats. Starlark's own json module is not used: its recursion has no limit, and a stack
// overflow of Go ends the process.
var dataFunctions = []*function{
	builtin("json.decode", Pure, decodeArgs{}, jsonDecode),
	builtin("json.encode", Pure, valueArgs{}, jsonEncode),
	builtin("json.indent", Pure, indentArgs{Indent: "\t"}, jsonIndent),
	builtin("yaml.decode", Pure, textArgs{}, yamlDecode),
	builtin("yaml.encode", Pure, valueArgs{}, yamlEncode),
	builtin("base64.decode", Pure, textArgs{}, base64Decode),
	builtin("base64.encode", Pure, textArgs{}, base64Encode),
}

type textArgs struct {
	Text string `star:"text"`
}

type valueArgs struct {
	Value starlark.Value `star:"value"`
}

type decodeArgs struct {
	Text    string         `star:"text"`
	Default starlark.Value `star:"default?"`
}

// jsonDecode returns the default, if one is given, for a text that is not JSON. Logs and outputs of
// other programs may not be.
func jsonDecode(_ *call, a *decodeArgs) (starlark.Value, error) {
	v, err := decodeJSON(a.Text)
	if err != nil && a.Default != nil {
		return a.Default, nil
	}
	return v, err
}

func decodeJSON(text string) (starlark.Value, error) {
	// encoding/json has a maximal depth of 10,000 itself.
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("there is more after the value, at offset %d", d.InputOffset())
	}
	x, err := numbers(x)
	if err != nil {
		return nil, err
	}
	return toStarlark(x)
}

// numbers replaces json.Number by int64 where it is an integer, else by float64.
func numbers(x any) (any, error) {
	switch x := x.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i, nil
		}
		return x.Float64()
	case []any:
		for i := range x {
			y, err := numbers(x[i])
			if err != nil {
				return nil, err
			}
			x[i] = y
		}
	case map[string]any:
		for k := range x {
			y, err := numbers(x[k])
			if err != nil {
				return nil, err
			}
			x[k] = y
		}
	}
	return x, nil
}

func jsonEncode(_ *call, a *valueArgs) (starlark.Value, error) {
	x, err := toGo(a.Value)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(floats(x)); err != nil {
		return nil, err
	}
	return starlark.String(strings.TrimSuffix(out.String(), "\n")), nil
}

// floats replaces a float64 by a json.Number that is read as a float again. encoding/json writes
// 1e17 as an integer, with digits that the float does not have.
func floats(x any) any {
	switch x := x.(type) {
	case float64:
		text := strconv.FormatFloat(x, 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return json.Number(text)
	case []any:
		for i := range x {
			x[i] = floats(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = floats(x[k])
		}
	}
	return x
}

type indentArgs struct {
	Text   string `star:"str"`
	Prefix string `star:"prefix?"`
	Indent string `star:"indent?"`
}

func jsonIndent(_ *call, a *indentArgs) (starlark.Value, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(a.Text), a.Prefix, a.Indent); err != nil {
		return nil, err
	}
	return starlark.String(out.String()), nil
}

func yamlDecode(_ *call, a *textArgs) (starlark.Value, error) {
	var x any
	if err := yaml.Unmarshal([]byte(a.Text), &x); err != nil {
		return nil, err
	}
	return toStarlark(x)
}

func yamlEncode(_ *call, a *valueArgs) (starlark.Value, error) {
	x, err := toGo(a.Value)
	if err != nil {
		return nil, err
	}
	out, err := yaml.Marshal(x)
	return starlark.String(out), err
}

func base64Decode(_ *call, a *textArgs) (starlark.Value, error) {
	out, err := base64.StdEncoding.DecodeString(a.Text)
	return starlark.String(out), err
}

func base64Encode(_ *call, a *textArgs) (starlark.Value, error) {
	return starlark.String(base64.StdEncoding.EncodeToString([]byte(a.Text))), nil
}
