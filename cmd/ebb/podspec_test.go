package main

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// What podspec compares: what a scenario says of its pods, without what the API server adds.
var (
	podFields       = []string{"activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "dnsPolicy", "hostIPC", "hostNetwork", "hostPID", "nodeName", "nodeSelector", "restartPolicy", "serviceAccountName", "terminationGracePeriodSeconds", "tolerations", "volumes"}
	containerFields = []string{"command", "env", "image", "name", "ports", "securityContext", "volumeMounts"}
)

// byServer reports whether a field of a pod is one that its maker did not set: that the API server adds, or the
// scheduler.
func byServer(pod unstructured.Unstructured, field string, value any) bool {
	switch field {
	case "dnsPolicy":
		return value == "ClusterFirst"
	case "serviceAccountName":
		return value == "default"
	case "nodeName":
		return !slices.ContainsFunc(pod.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
			return entry.FieldsV1 != nil && bytes.Contains(entry.FieldsV1.GetRawBytes(), []byte(`"f:nodeName"`))
		})
	}
	return false
}

// added reports whether an element of a list is one that the API server adds: the tolerations of nodes that are
// away for a while, and the token of the service account.
func added(element any) bool {
	fields, _ := element.(map[string]any)
	name, _ := fields["name"].(string)
	return fields["tolerationSeconds"] != nil || strings.HasPrefix(name, "kube-api-access-")
}

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
		value, ok := spec[field]
		if list, isList := value.([]any); isList {
			list = slices.DeleteFunc(list, added)
			value, ok = list, len(list) > 0
		}
		if ok && !byServer(pods[0], field, value) {
			got[field] = value
		}
	}
	var containers []any
	for _, c := range spec["containers"].([]any) {
		container := map[string]any{}
		for _, field := range containerFields {
			value, ok := c.(map[string]any)[field]
			if list, isList := value.([]any); isList {
				list = slices.DeleteFunc(list, added)
				value, ok = list, len(list) > 0
			}
			if ok {
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
