package builtins

import (
	"maps"
	"slices"

	"go.starlark.net/starlark"
)

// Predeclared returns what scripts can call, by name. Whoever joins an
// interpreter adds that one's own functions.
func Predeclared() starlark.StringDict {
	d := starlark.StringDict{
		"RollbackContent": rollbackContent,
		"RollbackVersion": rollbackVersion,
		"base64":          base64Module,
		"cloud":           cloudModule,
		"json":            jsonModule,
		"k8s":             k8sModule,
		"log":             logModule,
		"time":            timeModule,
		"yaml":            yamlModule,
	}
	for name, fn := range map[string]func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error){
		"Scenario":              makeScenario,
		"already_restored":      alreadyRestored,
		"conflict":              conflict,
		"field":                 makeField,
		"random_name":           randomName,
		"random_sample":         randomSample,
		"ref":                   makeRef,
		"right":                 makeRight,
		"set_rollback_callable": setRollbackCallable,
		"undo":                  undo,
		"unsettled":             unsettled,
	} {
		d[name] = starlark.NewBuiltin(name, fn)
	}
	return d
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
