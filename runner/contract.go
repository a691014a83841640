package runner

import (
	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/schema"
)

// versionFileContract is how a replay uses a version file.
var versionFileContract = engine.Contract{
	Entries:   []string{nameVersion, nameContent, nameCallable, nameVerify},
	Arguments: map[string]string{nameCallable: nameContent, nameVerify: nameContent},
}

// scriptContract is how a run uses a scenario script.
var scriptContract = engine.Contract{
	Entries: []string{"scenario", "run", "check", "between", "effect", "summary"},
	Handovers: []engine.Handover{
		{Builtin: "set_rollback_callable", Functions: []string{"callable", "verify"}, Argument: "content"},
	},
	Recording: engine.Recording{Function: "run", Builtin: "set_rollback_callable", Changes: changes()},
}

// changes returns the builtins that need a recorded undo.
func changes() map[string]string {
	all := map[string]string{}
	for name, s := range builtins.Signatures() {
		if s.Access != builtins.Write {
			continue
		}
		all[name] = ""
		for _, p := range s.Params {
			if p.Name == "read_only" {
				all[name] = p.Name
			}
		}
	}
	return all
}

// contractOf is how a run uses a script that declares these fields.
func contractOf(declared map[string]schema.Field) engine.Contract {
	names := builtins.ConfigNames(declared)
	contract := scriptContract
	contract.Fields = map[string][]string{"run": names, "check": names, "between": names, "effect": names, "summary": names}
	return contract
}

// signatures returns the signatures of the builtins as types of the engine.
func signatures() map[string]engine.Signature {
	all := map[string]engine.Signature{}
	for name, s := range builtins.Signatures() {
		signature := engine.Signature{Named: s.Named, Rest: s.Rest != ""}
		for _, p := range s.Params {
			signature.Params = append(signature.Params, engine.Param{Name: p.Name, Required: !p.Optional})
		}
		all[name] = signature
	}
	return all
}
