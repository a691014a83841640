package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/hub"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

// hubNeeds are the variables without which an image runs nothing, and values for them.
var hubNeeds = map[string]map[string]string{
	"application-outages": {"NAMESPACE": "shop"},
	"pvc-scenario":        {"NAMESPACE": "shop", "PVC_NAME": "data"},
	// a scenario file: service_name, service_namespace, service_target_port, image, chaos_duration, plan
	"service-hijacking": {"SCENARIO_BASE64": "c2VydmljZV9uYW1lOiB3ZWIKc2VydmljZV9uYW1lc3BhY2U6IHNob3AKc2VydmljZV90YXJnZXRfcG9ydDogODAKaW1hZ2U6IGEKY2hhb3NfZHVyYXRpb246IDEKcGxhbjogW3tyZXNvdXJjZTogLywgc3RlcHM6IHtHRVQ6IFt7c3RhdHVzOiA1MDB9XX19XQo="},
	"syn-flood":         {"TARGET_SERVICE": "web"},
	"zone-outages":      {"VPC_ID": "vpc-1", "SUBNET_ID": "[subnet-1]"},
	"http-load":         {"TARGET_ENDPOINTS": "GET http://web/"},
	"storage-throttle":  {"PVC_NAME": "data"},

	"node-network-filter": {"NODE_NAME": "n", "EGRESS": "true"},
	"pod-network-filter":  {"POD_NAME": "p", "INGRESS": "true"},
	"node-network-chaos":  {"NODE_NAME": "n", "LATENCY": "50ms"},
	"node-interface-down": {"NODE_NAME": "n"},
	"vmi-network":         {"VMI_NAME": "v", "NAMESPACE": "shop", "LATENCY": "50ms"},
	"vmi-network-filter":  {"VMI_NAME": "v", "NAMESPACE": "shop", "EGRESS": "true"},
	"kubevirt-outage":     {"NAMESPACE": "shop", "VM_NAME": "v"},
	"pod-network-chaos":   {"NAMESPACE": "shop", "POD_NAME": "p"},
	"time-scenarios":      {"OBJECT_TYPE": "node"}, // a pod has no clock of its own
	// an entry of node_scenarios with an action
	"node-scenarios-bm": {"SCENARIO_BASE64": "bm9kZV9zY2VuYXJpb3M6IFt7YWN0aW9uczogW25vZGVfcmVib290X3NjZW5hcmlvXSwgY2xvdWRfdHlwZTogYXdzfV0K"},
	"rollback":          {"RUN_UUID": "run-1"},
}

// What each image renders from its defaults is what its scenario's declaration takes, and the
// configuration is one.
func TestHubImages(t *testing.T) {
	t.Parallel()
	r, err := runner.New(versions.NewMemory(), runner.Options{Scripts: []runner.ScriptDir{{Name: "built-in", FS: scripts.FS}}})
	if err != nil {
		t.Fatal(err)
	}
	library, err := r.Library(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, image := range hub.Images() {
		files, err := hub.Render(image.Name, func(name string) string { return hubNeeds[image.Name][name] }, "scenario.yaml", "")
		if err != nil {
			t.Errorf("%s: %v", image.Name, err)
			continue
		}
		path := filepath.Join(dir, image.Name+".yaml")
		if err := os.WriteFile(path, files.Config, 0o600); err != nil {
			t.Fatal(err)
		}
		if image.Name == hub.Rollback {
			if _, err := config.LoadForRollback(path); err != nil {
				t.Errorf("%s: %v:\n%s", image.Name, err, files.Config)
			}
			continue
		}
		c, err := config.Load(path, config.Options{})
		if err != nil || len(c.Warnings) > 0 || len(c.Scenarios) != 1 || c.Scenarios[0].Type != image.ScenarioType {
			t.Errorf("%s: %v, %+v:\n%s", image.Name, err, c, files.Config)
			continue
		}
		_, err = r.Prepare(t.Context(), []runner.ScenarioFile{{Type: files.ScenarioType, Path: "scenario.yaml", From: "config.yaml:1", Data: files.Scenario}}, false)
		var unsupported *runner.UnsupportedError
		switch {
		case errors.As(err, &unsupported) && library[files.ScenarioType] == nil:
			if len(unsupported.Hints()) == 0 || !strings.Contains(unsupported.Hints()[0], "hog_scenarios") {
				t.Errorf("%s: got the hints %q, want what there is", image.Name, unsupported.Hints())
			}
		case err != nil:
			t.Errorf("%s: %v:\n%s", image.Name, err, files.Scenario)
		}
	}
}
