package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tests here start thousands of processes, which the race detector makes many times as
// expensive. So make test builds them without it, and make test-race has it look at a selection:
// all that is tested in Go, and the scripts and scenarios below. EBB_RACE=all gives it everything.

// selected tells whether the race detector is on and looks at a selection.
func selected() bool { return raceDetector && os.Getenv("EBB_RACE") != "all" }

// racedScripts have every command, a supervisor and its worker that end in all ways, pods in
// which commands are run, nodes and both clouds.
var racedScripts = []string{
	"check_files", "d09_signals", "edit_rollback", "exec_file", "execute_api_down", "execute_clouds_first", "execute_live", "execute_worker", "hub", "import_clouds", "list_filters",
	"mark_by_hand", "netng_pod_filter", "new_test", "pvc_success", "run_hogs", "run_kill_replay", "run_signals", "store_cluster", "usage", "verify_rollback", "watch_replay",
}

// racedScenarios of testdata/matrix are killed at each point.
var racedScenarios = []string{"hijack", "outage", "zone_aws"}

// scriptFiles returns the names of the scripts of a directory that are to be run.
func scriptFiles(t *testing.T, dir string, raced []string) []string {
	t.Helper()
	var files []string
	if !selected() {
		files, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no scripts: %v", dir, err)
		}
		return files
	}
	for _, name := range raced {
		files = append(files, filepath.Join(dir, name+".txtar"))
	}
	return files
}

// TestRacedScriptsHaveEveryCommand fails for a new command that the race detector would not see.
func TestRacedScriptsHaveEveryCommand(t *testing.T) {
	var all strings.Builder
	for _, name := range racedScripts {
		content, err := os.ReadFile(filepath.Join("../../testdata/script", name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	for _, name := range racedScenarios {
		if _, err := os.Stat(filepath.Join("../../testdata/matrix", name+".txtar")); err != nil {
			t.Error(err)
		}
	}
	if !slices.IsSorted(racedScripts) || !slices.IsSorted(racedScenarios) {
		t.Error("the selections are not sorted")
	}
	for _, command := range newApp(io.Discard, io.Discard).Commands {
		if command.Hidden {
			continue
		}
		if !regexp.MustCompile(`(?m)^[^#\n]*\bebb ` + command.Name + `\b`).MatchString(all.String()) {
			t.Errorf("no script of racedScripts runs ebb %s: add one that does", command.Name)
		}
	}
}

// every returns all items, or each nth where the race detector looks at a selection.
func every[T any](n int, items []T) []T {
	if !selected() {
		return items
	}
	var some []T
	for i := 0; i < len(items); i += n {
		some = append(some, items[i])
	}
	return some
}
