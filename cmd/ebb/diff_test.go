package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/runner"
)

func TestDiff(t *testing.T) {
	object := func(selector map[string]any, version string) json.RawMessage {
		encoded, err := json.Marshal(map[string]any{
			"kind": "Service", "metadata": map[string]any{"name": "shop", "resourceVersion": version, "uid": "u", "generation": int64(1)},
			"spec": map[string]any{"selector": selector}, "status": map[string]any{"seen": version},
		})
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	for name, test := range map[string]struct {
		change builtins.Change
		want   string
	}{
		"changed": {
			builtins.Change{Before: object(map[string]any{"app": "hijack\x1b[31mer"}, "1"), After: object(map[string]any{"app": "shop"}, "2")},
			" spec:\n     selector:\n-        app: \"hijack\\e[31mer\"\n+        app: shop",
		},
		"same but for what the server writes": {builtins.Change{Before: object(nil, "1"), After: object(nil, "2")}, ""},
		"deleted":                             {builtins.Change{Before: object(nil, "1")}, ""},
		"created":                             {builtins.Change{After: object(nil, "1")}, ""},
	} {
		lines, err := diff(test.change)
		got := strings.Join(lines, "\n")
		if err != nil || !strings.HasSuffix(got, test.want) || (test.want == "") != (got == "") {
			t.Errorf("%s: got %v and\n%s\nwant\n%s", name, err, got, test.want)
		}
	}
}

func TestPlanSummary(t *testing.T) {
	report := &runner.Report{Results: []runner.Result{
		{Outcome: runner.Planned, Changes: []builtins.Change{{Verb: "delete"}, {Verb: "delete"}, {Verb: "patch"}, {Verb: "exec"}}},
		{Outcome: runner.Planned}, {Outcome: runner.Conflict}, {Outcome: runner.Blocked}, {Outcome: runner.Blocked},
	}}
	const want = "Plan: 1 command to run, 1 to change, 2 to delete, 1 already restored, 2 blocked, 1 conflict"
	if got := planSummary(report); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
