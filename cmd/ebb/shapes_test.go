package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

// TestKrknShapes reads files of the shapes that Krkn's repository has, as run --check does, and
// holds the verdicts. A type that no script declares is an error that names those that there are.
func TestKrknShapes(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("../../testdata/krkn/shapes.txtar")
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
	for _, file := range archive.Files {
		// The first line is the verdict: "# ok", "# warned: TEXT" or "# refused: TEXT".
		verdict, _, _ := strings.Cut(string(file.Data), "\n")
		refused, isRefused := strings.CutPrefix(verdict, "# refused: ")
		warned, isWarned := strings.CutPrefix(verdict, "# warned: ")
		warnings.Reset()
		if !isRefused && !isWarned && verdict != "# ok" {
			t.Fatalf("%s: got the first line %q, want a verdict", file.Name, verdict)
		}
		scenarioType, _, _ := strings.Cut(file.Name, "/")
		if scenarioType == "config" {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, file.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = config.Load(path, config.Options{})
		} else {
			_, err = r.Prepare(t.Context(), []runner.ScenarioFile{{Type: scenarioType, Path: file.Name, From: "config.yaml:1", Data: file.Data}}, false)
		}
		var unsupported *runner.UnsupportedError
		switch {
		case errors.As(err, &unsupported) && library[scenarioType] == nil:
			if len(unsupported.Hints()) == 0 || !strings.Contains(unsupported.Hints()[0], "hog_scenarios") {
				t.Errorf("%s: got the hints %q, want the types that there are", file.Name, unsupported.Hints())
			}
		case isRefused && (err == nil || !strings.Contains(err.Error(), refused)):
			t.Errorf("%s: got %v, want it refused: %s", file.Name, err, refused)
		case !isRefused && err != nil:
			t.Errorf("%s: %v, want it taken", file.Name, err)
		case isWarned != strings.Contains(warnings.String(), "level=WARN"):
			t.Errorf("%s: got the log %q, want a warning only where one is asked for", file.Name, &warnings)
		case isWarned && !strings.Contains(strings.ReplaceAll(warnings.String(), `\"`, `"`), warned):
			t.Errorf("%s: got the log %q, want the warning %q", file.Name, &warnings, warned)
		}
	}
}
