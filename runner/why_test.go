package runner

import (
	"testing"
	"testing/fstest"

	"github.com/ebb-chaos/ebb/builtins"
)

// whyScript calls why with the status of pods as kubelets and schedulers write it.
const whyScript = `
load("lib/pods.star", "verdict_of", "why")

def check(status, want):
    got = why({"status": status})
    if got != want:
        fail("got %r, want %r" % (got, want))

check({"phase": "Pending", "conditions": [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available: 2 Insufficient cpu."},
]}, "Unschedulable: 0/2 nodes are available: 2 Insufficient cpu.")
check({"phase": "Pending", "containerStatuses": [
    {"name": "a", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x:1\""}}},
]}, "ImagePullBackOff: Back-off pulling image \"x:1\"")
check({"phase": "Pending", "initContainerStatuses": [
    {"name": "init", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}},
], "containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "PodInitializing"}}}]}, "init container init: ErrImagePull: not found, PodInitializing")
check({"phase": "Failed", "initContainerStatuses": [
    {"name": "istio-init", "state": {"terminated": {"reason": "Error", "exitCode": 2}}},
]}, "init container istio-init: Error, exit code 2")
check({"phase": "Pending", "containerStatuses": [
    {"name": "a", "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "configmap \"b\" not found"}}},
]}, "CreateContainerConfigError: configmap \"b\" not found")
check({"phase": "Failed", "containerStatuses": [
    {"name": "a", "state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}},
]}, "OOMKilled, exit code 137")
check({"phase": "Running", "containerStatuses": [
    {"name": "a", "state": {"running": {}}, "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}},
]}, "OOMKilled, exit code 137")
check({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}, "Evicted: The node was low on resource: memory.")
check({"phase": "Pending"}, "no reason given")

def late(pod, want):
    got = verdict_of(pod, {}, 60, 120, True)
    if got != want:
        fail("got %r, want %r" % (got, want))

late(
    {"metadata": {"name": "a"}, "spec": {}, "status": {"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"},
    ]}},
    "does not run after 120 s: Unschedulable: no room (node none yet)",
)
late(
    {"metadata": {"name": "a"}, "spec": {"nodeName": "n-1"}, "status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}},
    "failed: Evicted: low on memory (node n-1)",
)
scenario = None
`

// TestWhy: a pod that does not work says why, and on which node, in the words of Kubernetes.
func TestWhy(t *testing.T) {
	r, files := newRunner(t), copyScripts(t)
	files["why.star"] = &fstest.MapFile{Data: []byte(whyScript)}
	if _, err := r.engine.LoadScript(builtins.WithSession(t.Context(), r.initSession()), files, "why.star"); err != nil {
		t.Fatal(err)
	}
}
