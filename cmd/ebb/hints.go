package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// hints returns what can be done about an error: its own hints, and the flags and commands that
// help with its kind. Only this function names flags and commands.
func (c *caller) hints(err error) []string {
	if err == nil {
		return nil
	}
	var found []string
	f := runner.FailureOf(err)
	found = append(found, f.Hints()...)
	if hint := c.kindHint(f); hint != "" {
		found = append(found, hint)
	}
	return append(found, c.configHints(err)...)
}

// resultHints returns the hints about a file. A conflict always has one, and so has an error in the
// code of the file.
func (c *caller) resultHints(x runner.Result) []string {
	found := c.hints(x.Err)
	if x.File.Name == "" {
		return found
	}
	file := x.File.Location
	if runner.KindOf(x.Err) == runner.KindScript && x.File.Replayable() {
		return append(found, c.fix(file))
	}
	if x.Outcome != runner.Conflict {
		return found
	}
	found = append(found,
		"look at the file: "+c.next("show-rollback", file),
		"if it is right as it is now: "+c.next("mark-rollback", "--reason", "TEXT", file),
	)
	if runner.FailureOf(x.Err).Details["forcible"] == "true" {
		found = append(found, "to restore it all the same: "+c.next("execute-rollback", "--force-conflict", file))
	}
	return append(found, "to restore something else: "+c.next("edit-rollback", file))
}

// hintList is the hint about a name that belongs to no version file.
func (c *caller) hintList() string {
	return "to see the version files and their paths: " + c.next("list-rollback", "-o", "wide")
}

// fix is the hint about a version file that has errors.
func (c *caller) fix(file string) string { return "fix it: " + c.next("edit-rollback", file) }

func (c *caller) configHints(err error) []string {
	var safety *config.SafetyError
	var missing *config.MissingError
	switch {
	case errors.As(err, &safety):
		const disable = "disable the safety keys, or run even if they are enabled: "
		if c != nil && c.image != "" {
			return []string{disable + c.hub("--ignore-safety-keys")}
		}
		return []string{disable + c.next("run", "--ignore-safety-keys")}
	case errors.As(err, &missing):
		return []string{
			"name another file with --config FILE; Krkn's own config.yaml works as it is",
			"to write one, start from the example under \"Configuration\" in README.md",
		}
	}
	return nil
}

func (c *caller) kindHint(f *runner.Failure) string {
	switch f.Kind {
	case runner.KindWrongCluster:
		return "choose the right one with --kubeconfig and --context, or use --force if the cluster was rebuilt under the same names"
	case runner.KindOverlap:
		return "replay that first: " + c.next("execute-rollback", "--run_uuid", f.Details["run_uuid"])
	case runner.KindNewerPending:
		return "replay them all: " + c.next("execute-rollback", "--run_uuid", f.Details["run_uuid"]) + ", or use --keep-going"
	case runner.KindReplaced:
		return "put the right file back, or undo its change by hand; --force replays this file anyway; for the SHA-256 of the right one: " + c.next("history")
	case runner.KindRights:
		return "docs/scenarios.md lists what each scenario needs; --skip-preflight runs it anyway"
	case runner.KindStore:
		if strings.Contains(f.Message, clusterstore.Scheme) {
			return "let the namespace of the store take Secrets (rights, quota, policies, webhooks), or set kraken.rollback_store_namespace to another one"
		}
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
		return "to see the runs that left something: " + c.next("list-rollback")
	case runner.KindScenario:
		if c != nil && c.image != "" {
			return "environment variables say what is in these files; to list them: " + c.bare("hub", "--list", c.image)
		}
		return "docs/scenarios.md has the keys of each type; to check the files anew: " + c.next("run", "--check")
	case runner.KindUnavailable:
		return "give it longer with --timeout"
	}
	return ""
}
