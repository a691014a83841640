package builtins

import (
	"maps"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
)

// table lists every function that scripts can call. The function builtin made each of them, so all
// calls take the same path.
var table = slices.Concat(
	declarationFunctions,
	rollbackFunctions,
	effectFunctions,
	recoveryFunctions,
	volumeFunctions,
	irreversibleFunctions,
	k8sFunctions,
	gcpFunctions,
	awsFunctions,
	logFunctions,
	timeFunctions,
	dataFunctions,
	randomFunctions,
	regexFunctions,
)

var predeclared = modules(table)

// Predeclared returns what scripts can call, by name. An interpreter adds its own functions.
func Predeclared() starlark.StringDict { return maps.Clone(predeclared) }

// Signatures returns the parameters of everything in [Predeclared], by name: "k8s.get".
func Signatures() map[string]Signature {
	signatures := make(map[string]Signature, len(table))
	for _, f := range table {
		signatures[f.Name] = f.Signature
	}
	return signatures
}

// modules puts functions under their names. "cloud.aws.start" becomes a module cloud, which
// contains a module cloud.aws, which contains start.
func modules(functions []*function) starlark.StringDict {
	top := starlark.StringDict{}
	for _, f := range functions {
		members, path := top, strings.Split(f.Name, ".")
		for i, name := range path[:len(path)-1] {
			module, ok := members[name].(*starlarkstruct.Module)
			if !ok {
				module = &starlarkstruct.Module{Name: strings.Join(path[:i+1], "."), Members: starlark.StringDict{}}
				members[name] = module
			}
			members = module.Members
		}
		name := path[len(path)-1]
		if members.Has(name) {
			panic("two builtins are called " + f.Name)
		}
		members[name] = f.builtin
		if f.value != nil {
			members[name] = f.value
		}
	}
	return top
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
