package main

import (
	"bytes"
	"encoding/json"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// What podspec compares: what a scenario says of its pods, without what the API server adds.
var (
	podFields       = []string{"activeDeadlineSeconds", "automountServiceAccountToken", "hostIPC", "hostNetwork", "hostPID", "nodeName", "restartPolicy", "terminationGracePeriodSeconds", "tolerations", "volumes"}
	containerFields = []string{"command", "env", "image", "name", "securityContext", "volumeMounts"}
)

// podspec POD FILE checks what a pod of $NS was made with. In the file, which is YAML, comments say what Krkn makes
// instead; variables are expanded.
func cmdPodSpec(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: podspec POD FILE")
	}
	pods := named(ts, "pods", args[0])
	if len(pods) != 1 {
		ts.Fatalf("there are %d pods %s, want 1", len(pods), args[0])
	}
	spec, _, err := unstructured.NestedMap(pods[0].Object, "spec")
	ts.Check(err)
	got := map[string]any{}
	for _, field := range podFields {
		if value, ok := spec[field]; ok {
			got[field] = value
		}
	}
	var containers []any
	for _, c := range spec["containers"].([]any) {
		container := map[string]any{}
		for _, field := range containerFields {
			if value, ok := c.(map[string]any)[field]; ok {
				container[field] = value
			}
		}
		containers = append(containers, container)
	}
	got["containers"] = containers
	text, err := json.MarshalIndent(got, "", "  ")
	ts.Check(err)
	var want any
	data, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Check(yaml.Unmarshal([]byte(os.Expand(string(data), ts.Getenv)), &want))
	wanted, err := json.MarshalIndent(want, "", "  ")
	ts.Check(err)
	if !bytes.Equal(text, wanted) {
		ts.Fatalf("pod %s was made with\n%s\nwant\n%s", args[0], text, wanted)
	}
}
