package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
)

// hints returns what can be done about an error: its own hints, and the flags and commands that
// help against its kind. It is the only place that names those.
func hints(err error) []string {
	if err == nil {
		return nil
	}
	var found []string
	f := runner.FailureOf(err)
	found = append(found, f.Hints()...)
	if hint := kindHint(f); hint != "" {
		found = append(found, hint)
	}
	return append(found, configHints(err)...)
}

// resultHints are the hints about a file. A conflict always has a way on, and so has a mistake in the
// file's own code.
func resultHints(x runner.Result) []string {
	found := hints(x.Err)
	if x.File.Name == "" {
		return found
	}
	file := quoted(x.File.Location)
	if runner.KindOf(x.Err) == runner.KindScript && x.File.Replayable() {
		return append(found, mend(x.File.Location))
	}
	if x.Outcome != runner.Conflict {
		return found
	}
	return append(found,
		"look at the file: ebb show-rollback "+file,
		"if it is right as it is now: ebb mark-rollback --reason TEXT "+file,
		"to restore it all the same: ebb execute-rollback --force-conflict "+file,
		"to restore something else: ebb edit-rollback "+file,
	)
}

// hintList is for a name that is no version file's.
const hintList = "to see the version files and their paths: ebb list-rollback -o wide"

// mend is the way on from a version file that has mistakes.
func mend(file string) string { return "mend it: ebb edit-rollback " + quoted(file) }

func configHints(err error) []string {
	var safety *config.SafetyError
	var missing *config.MissingError
	switch {
	case errors.As(err, &safety):
		return []string{"disable the safety keys, or run even if they are enabled: ebb run --ignore-safety-keys"}
	case errors.As(err, &missing):
		return []string{
			"name another file with --config FILE; Krkn's own config.yaml works as it is",
			"to write one, start from the example under \"Configuration\" in README.md",
		}
	}
	return nil
}

func kindHint(f *runner.Failure) string {
	switch f.Kind {
	case runner.KindWrongCluster:
		return "choose the right one with --kubeconfig and --context, or use --force if the cluster was rebuilt under the same names"
	case runner.KindOverlap:
		return "replay that first: ebb execute-rollback --run_uuid " + f.Details["run_uuid"]
	case runner.KindNewerPending:
		return "replay them all: ebb execute-rollback --run_uuid " + f.Details["run_uuid"] + ", or use --keep-going"
	case runner.KindReplaced:
		return "put the right file back (ebb history shows its SHA-256), or undo its change by hand; --force replays this file anyway"
	case runner.KindRights:
		return "docs/scenarios.md lists what each scenario needs; --skip-preflight runs it anyway"
	case runner.KindStore:
		return "fix the cause, or set kraken.rollback_versions_directory to another place"
	case runner.KindInsecure:
		if slices.ContainsFunc(f.Hints(), func(hint string) bool {
			return strings.HasPrefix(hint, "mkdir ") || strings.HasPrefix(hint, "readlink ")
		}) {
			return "the configuration names the directory: kraken.rollback_versions_directory, or kraken.scenario_scripts_directory for scripts"
		}
	case runner.KindUnsigned:
		return "name the keys of the runners with --public-keys; a file that a person has looked at is replayed with --force"
	case runner.KindUnsupported:
		return "--skip-unsupported runs the rest"
	case runner.KindFinal:
		return "--allow-irreversible runs it; its undo can only wait for the recovery"
	case runner.KindUnknownRun:
		return "to see the runs that left something: ebb list-rollback"
	case runner.KindScenario:
		return "docs/scenarios.md has the keys of each type; to check the files anew: ebb run --check"
	case runner.KindUnavailable:
		return "give it longer with --timeout"
	}
	return ""
}
