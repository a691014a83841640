package builtins

import (
	"fmt"
	"strings"
)

// The Python types of parameters, by their types in a [Signature].
var stubTypes = map[string]string{
	"string": "str", "bool": "bool", "int": "int", "number": "float", "any": "Any", "dict": "Mapping[str, Any]",
	"list": "Iterable[Any]", "function": "Callable[..., Any]", "number or duration": "float | _Duration",
	"list of strings": "Iterable[str]", "string or list of strings": "str | Iterable[str]", "dict of lists of strings": "Mapping[str, Iterable[str]]",
	"field": "_Field", "dict of field": "Mapping[str, _Field]", "right": "_Right", "list of right": "Iterable[_Right]", "ref": "_Ref", "list of ref": "Iterable[_Ref]",
}

// stubParams are the types of parameters that a [Signature] does not tell.
var stubParams = map[string]string{
	"int.default": "int | None", "k8s.delete.grace_period": "int | None",
}

// stubResults are the types of results; a function that is not listed returns None. An object is
// Any: otherwise the type checker would report each access to one that may be missing.
var stubResults = map[string]string{
	"Scenario": "_Scenario", "field": "_Field", "right": "_Right", "ref": "_Ref", "RollbackContent": "Any", "RollbackVersion": "_RollbackVersion",
	"await_recovery": "bool", "unsettled": "bool", "conflict": "bool", "overlap": "NoReturn", "fail": "NoReturn", "attempt": "_Attempt", "parallel": "list[Any]", "struct": "Any",
	"k8s.get": "Any", "k8s.list": "list[Any]", "k8s.create": "Any", "k8s.apply": "Any", "k8s.patch": "Any", "k8s.delete": "bool", "k8s.restore": "bool",
	"k8s.exec": "_ExecResult", "k8s.wait": "Any", "k8s.logs": "str", "k8s.can": "bool", "k8s.own_pod": "Any",
	"cloud.gcp.describe": "dict[str, Any]", "cloud.aws.describe": "dict[str, Any]", "cloud.aws.region": "str", "cloud.aws.volumes": "list[Any]",
	"cloud.aws.root_device": "str", "cloud.aws.attach_volume": "bool", "cloud.aws.network_acls": "list[Any]", "cloud.aws.create_network_acl": "str",
	"cloud.aws.replace_network_acl": "bool", "cloud.aws.delete_network_acl": "bool",
	"time.now": "Any", "time.parse_duration": "_Duration",
	"json.decode": "Any", "json.encode": "str", "json.indent": "str", "yaml.decode": "Any", "yaml.encode": "str", "base64.decode": "str", "base64.encode": "str",
	"random_name": "str", "random_sample": "list[Any]", "regex.match": "bool", "regex.search": "bool", "regex.problem": "str",
}

const stubsHead = `# What ebb's scripts can call, with types, for editors and checkers that know Python.
# Written by "ebb builtins --stubs": save it as __builtins__.pyi where the scripts are.
from typing import Any, Callable, Iterable, Mapping, NoReturn

class _Scenario: ...
class _Field: ...
class _Right: ...
class _RollbackVersion: ...
class _Duration:
    seconds: float

class _Ref:
    kind: str
    name: str
    namespace: str

class _Attempt:
    ok: bool
    value: Any
    error: Any

class _ExecResult:
    stdout: str
    stderr: str
    code: int

def load(module: str, *names: str, **renamed: str) -> None: ...

# These return lists in Starlark.
def reversed(sequence: Iterable[Any], /) -> list[Any]: ...
def enumerate(iterable: Iterable[Any], start: int = 0) -> list[Any]: ...
def zip(*iterables: Iterable[Any]) -> list[Any]: ...
`

// Stubs returns the signatures and the documentation of everything that scripts can call, with
// types. It is the content of a __builtins__.pyi for Python type checkers.
func Stubs() (string, error) {
	docs, err := Docs()
	if err != nil {
		return "", err
	}
	root := &stubModule{modules: map[string]*stubModule{}}
	signatures := Signatures()
	for _, d := range docs {
		path := strings.Split(d.Name, ".")
		m := root
		for _, name := range path[:len(path)-1] {
			if m.modules[name] == nil {
				m.modules[name] = &stubModule{modules: map[string]*stubModule{}}
			}
			m = m.modules[name]
		}
		params, err := stubParameters(d, signatures)
		if err != nil {
			return "", err
		}
		m.functions = append(m.functions, stubFunction{path[len(path)-1], params, resultOf(d.Name), d.Text})
	}
	var b strings.Builder
	b.WriteString(stubsHead)
	root.write(&b, "")
	return b.String(), nil
}

func resultOf(name string) string {
	if result, ok := stubResults[name]; ok {
		return result
	}
	return "None"
}

type stubModule struct {
	functions []stubFunction
	modules   map[string]*stubModule
}

type stubFunction struct{ name, params, result, text string }

// write writes the functions of a module. Those of the top level stay functions. Those of other
// modules become static methods of a class.
func (m *stubModule) write(b *strings.Builder, indent string) {
	for _, f := range m.functions {
		b.WriteString("\n")
		if indent != "" {
			fmt.Fprintf(b, "%s@staticmethod\n", indent)
		}
		fmt.Fprintf(b, "%sdef %s(%s) -> %s:\n", indent, f.name, f.params, f.result)
		text := strings.ReplaceAll(f.text, `\`, `\\`)
		fmt.Fprintf(b, "%s    \"\"\"%s\"\"\"\n", indent, strings.ReplaceAll(text, "\n", "\n"+indent+"    "))
	}
	for _, name := range sortedKeys(m.modules) {
		fmt.Fprintf(b, "\n%sclass %s:\n", indent, name)
		m.modules[name].write(b, indent+"    ")
	}
}

// stubParameters returns the parameters of a function with their types. The interpreter's own
// functions have no types.
func stubParameters(d Doc, signatures map[string]Signature) (string, error) {
	s, ok := signatures[d.Name]
	var params []string
	if !ok {
		for _, p := range d.Params {
			name, fallback, optional := strings.Cut(p, " = ")
			p = name + ": Any"
			if optional {
				p += " = " + fallback
			}
			params = append(params, p)
		}
		return strings.Join(params, ", "), nil
	}
	if s.Named && len(s.Params) > 0 {
		params = append(params, "*")
	}
	optional := false
	for _, p := range s.Params {
		kind, known := stubParams[d.Name+"."+p.Name]
		if !known {
			if kind, known = stubTypes[p.Type]; !known {
				return "", fmt.Errorf("%s: no stub for the type %q of %s", d.Name, p.Type, p.Name)
			}
		}
		if p.Optional && p.Default == "None" && kind != "Any" && !strings.Contains(kind, "None") {
			kind += " | None"
		}
		switch {
		case p.Optional:
			params = append(params, fmt.Sprintf("%s: %s = ...", p.Name, kind))
			optional = true
		case optional: // required, which Python can't express after an optional one
			params = append(params, fmt.Sprintf("%s: %s = ...", p.Name, kind))
		default:
			params = append(params, fmt.Sprintf("%s: %s", p.Name, kind))
		}
	}
	if s.Rest != "" {
		params = append(params, "**"+s.Rest+": Any")
	}
	return strings.Join(params, ", "), nil
}
