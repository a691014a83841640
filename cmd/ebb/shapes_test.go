package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

// TestKrknShapes reads files of the shapes that Krkn's repository has, and files with slips that would
// widen the chaos, as run --check does, and holds the verdicts. A type that no script declares is an
// error that names those that there are.
func TestKrknShapes(t *testing.T) {
	t.Parallel()
	all, err := shapeFiles()
	if err != nil {
		t.Fatal(err)
	}
	var warnings strings.Builder
	log := slog.New(slog.NewTextHandler(&warnings, nil))
	r, err := runner.New(versions.NewMemory(), runner.Options{Log: log, Scripts: []runner.ScriptDir{{Name: "built-in", FS: scripts.FS}}})
	if err != nil {
		t.Fatal(err)
	}
	library, err := r.Library(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// All at once, so that each script is loaded once. Each error and each warning names its file.
	var files []runner.ScenarioFile
	failed := map[string][]error{}
	for _, file := range all {
		scenarioType, _, _ := strings.Cut(file.Name, "/")
		if scenarioType != "config" {
			files = append(files, runner.ScenarioFile{Type: scenarioType, Path: file.Name, From: file.Name + ":1", Data: file.Data})
			continue
		}
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path, config.Options{}); err != nil {
			failed[file.Name] = append(failed[file.Name], err)
		}
	}
	if _, err := r.Prepare(t.Context(), files, false); err != nil {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			t.Fatal(err)
		}
		for _, err := range joined.Unwrap() {
			name, _, _ := strings.Cut(err.Error(), ":")
			failed[name] = append(failed[name], err)
		}
	}
	for _, file := range all {
		verdict, _, _ := strings.Cut(string(file.Data), "\n")
		scenarioType, _, _ := strings.Cut(file.Name, "/")
		err := errors.Join(failed[file.Name]...)
		var unsupported *runner.UnsupportedError
		if errors.As(err, &unsupported) && library[scenarioType] == nil && !strings.Contains(strings.Join(unsupported.Hints(), ""), "hog_scenarios") {
			t.Errorf("%s: got the hints %q, want the types that there are", file.Name, unsupported.Hints())
		}
		checkVerdict(t, file.Name, verdict, err, warned(warnings.String(), file.Name))
	}
}

// warned returns the lines of a log that name a file.
func warned(log, file string) string {
	var lines []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, file+":") {
			lines = append(lines, strings.ReplaceAll(line, `\"`, `"`))
		}
	}
	return strings.Join(lines, "")
}

// checkVerdict holds what came of a file against its first line: "# ok", "# warned: TEXT" or
// "# refused: TEXT".
func checkVerdict(t *testing.T, name, verdict string, err error, warnings string) {
	t.Helper()
	kind, text, _ := strings.Cut(strings.TrimPrefix(verdict, "# "), ": ")
	switch {
	case kind != "ok" && (kind != "warned" && kind != "refused" || text == ""):
		t.Errorf("%s: got the first line %q, want a verdict", name, verdict)
	case kind == "refused" && (err == nil || !strings.Contains(err.Error(), text)):
		t.Errorf("%s: got %v, want it refused: %s", name, err, text)
	case kind != "refused" && err != nil:
		t.Errorf("%s: %v, want it taken", name, err)
	case (kind == "warned") != (warnings != "") || !strings.Contains(warnings, text) && kind == "warned":
		t.Errorf("%s: got the warnings %q, want them for %q", name, warnings, verdict)
	}
}
