package runner

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/krkn"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

// foreignFields is what each of Krkn's callables gets.
var foreignFields = map[string]map[string]any{
	"rollback_network_policy": {"namespace": "shop", "name": "krkn-deny-abcde"},
	"rollback_hog_pod":        {"namespace": "shop", "name": "cpu-hog-abcde"},
	"rollback_http_load_pods": {"namespace": "shop", "pods": []any{"http-load-a", "http-load-b"}},
	"rollback_syn_flood_pods": {"namespace": "shop", "pods": []any{"syn-flood-a"}},
	"rollback_temp_file":      {"namespace": "shop", "pod": "db", "container": "app", "directory": "/data", "path": "/data/kraken.tmp"},
	"rollback_service_hijacking": {
		"namespace": "shop", "service": "web", "selector": map[string]any{"app": "web"}, "pod": "service-hijacking-pod-abcde",
	},
	"rollback_shutdown_nodes":  {"cloud_type": "aws", "instances": []any{"i-0a", "i-0b"}},
	"rollback_gcp_zone_outage": {"nodes": []any{"node-1"}},
	"rollback_throttle": {
		"namespace": "shop", "krkn_pod": "io-throttle-0123456789", "device": "8:0", "cgroup": "/kubepods/pod1/0ff", "cgroup_version": int64(2), "pod_uid": "1",
	},
}

func translate(t *testing.T, r *Runner, fsys fs.FS, callable string) ([]byte, error) {
	t.Helper()
	return r.Translate(t.Context(), fsys, "krkn/rollbacks.star", Foreign{
		File:    versions.File{Name: "hog_scenarios_1763999999000000000_abcdefgh.py", ScenarioType: "hog_scenarios", Timestamp: 1763999999000000000},
		RunUUID: "run", Callable: callable, Fields: foreignFields[callable],
	})
}

// translateAll returns what is wrong with the translations of a directory of scripts.
func translateAll(t *testing.T, r *Runner, fsys fs.FS) (errs []error) {
	t.Helper()
	for _, callable := range krkn.Callables() {
		if _, err := translate(t, r, fsys, callable); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// Each of Krkn's callables becomes a version file of the common form, under the time of Krkn's.
func TestTranslate(t *testing.T) {
	r := newRunner(t)
	for _, callable := range krkn.Callables() {
		content, err := translate(t, r, scripts.FS, callable)
		if err != nil {
			t.Errorf("%s: %v", callable, err)
			continue
		}
		if versions.Integrity(content) != versions.Written {
			t.Errorf("%s: the file has no seal", callable)
		}
		for _, want := range []string{
			"#!/usr/bin/env -S ebb exec\n# Imported by ebb ", "(" + callable + ")", `created = "2025-11-24T15:59:59.000000Z"`, `run_uuid = "run"`,
			"\nrollback_callable = ", "\nverify_callable = ", "undoes = [",
		} {
			if !strings.Contains(string(content), want) {
				t.Errorf("%s: there is no %q in\n%s", callable, want, content)
			}
		}
	}
	if _, err := translate(t, r, scripts.FS, "rollback_everything"); err == nil {
		t.Error("a callable without a translation was translated")
	}
}
