package runner_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// TestLibraryNamedByType: of a directory whose files are named by their types, a run loads only what it
// needs, and is told of the others all the same.
func TestLibraryNamedByType(t *testing.T) {
	script := func(kind, more string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`scenario = Scenario(type = "` + kind + `", fields = {}, rights = [], help = "nothing"` + more + ")\ndef run(config):\n    pass\n")}
	}
	file := filepath.Join(t.TempDir(), "scenario.yaml")
	if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	builtIn := fstest.MapFS{
		"a_scenarios.star": script("a_scenarios", ""),
		"b_scenarios.star": script("b_scenarios", ""),
		"c_scenarios.star": script("other_scenarios", ""),
		"d_scenarios.star": {Data: []byte("this is no Starlark")},
	}
	for name, c := range map[string]struct {
		kind string
		own  fstest.MapFS // a directory whose files have any names
		want string       // an error; "" for none
		warn string
	}{
		"what is not needed is not loaded": {kind: "a_scenarios"},
		"what is needed is":                {kind: "d_scenarios", want: "d_scenarios.star:1:"},
		"another name":                     {kind: "c_scenarios", want: `built-in/c_scenarios.star: declares the scenario type "other_scenarios", want "c_scenarios" as the file is named`},
		"an unknown type":                  {kind: "bb_scenarios", want: `"bb_scenarios" is not supported; did you mean "b_scenarios"?`},
		"one that exists already": {
			kind: "a_scenarios", own: fstest.MapFS{"x.star": script("b_scenarios", "")},
			want: `own/x.star: scenario type "b_scenarios" exists already (built-in/b_scenarios.star)`,
		},
		"one that is overridden": {
			kind: "b_scenarios", own: fstest.MapFS{"x.star": script("b_scenarios", ", override = True")},
			warn: `scenario type \"b_scenarios\" of built-in/b_scenarios.star is overridden by own/x.star`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			dirs := []runner.ScriptDir{{Name: "built-in", FS: builtIn, NamedByType: true}}
			if c.own != nil {
				dirs = append(dirs, runner.ScriptDir{Name: "own", FS: c.own})
			}
			r, err := runner.New(versions.NewMemory(), runner.Options{Scripts: dirs, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			prepared, err := r.Prepare(t.Context(), []runner.ScenarioFile{{Type: c.kind, Path: file, From: "config.yaml:1"}}, false)
			switch {
			case c.want == "" && (err != nil || len(prepared) != 1):
				t.Errorf("got %d scenarios and %v, want one", len(prepared), err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if !strings.Contains(log.String(), c.warn) || c.warn == "" && log.Len() > 0 {
				t.Errorf("got the log %q, want %q", &log, c.warn)
			}
		})
	}
}
