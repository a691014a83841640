package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// standInDir is where the stand-ins of a node keep their state, below the node's root.
const standInDir = "/run/stand-in"

// What plays systemd on a node: one unit, the kubelet, whose state is in files. It has to do what
// scripts ask of systemctl, and no more.
const systemctl = `#!/bin/sh
cd ` + standInDir + ` || exit 1
anew() { echo $(($(cat invocation) + 1)) >invocation; }
case "$1 $2" in
"show --property=ActiveState,InvocationID") echo "ActiveState=$(cat state)"; echo "InvocationID=$(cat invocation)" ;;
"start kubelet") [ "$(cat state)" = active ] || { echo active >state; anew; } ;;
"stop kubelet") echo inactive >state ;;
"restart kubelet") echo active >state; anew ;;
*) echo "systemctl (a stand-in): got $*" >&2; exit 1 ;;
esac
`

// What a stand-in begins with: a kernel that reboots after a crash, and a kubelet that runs.
const standInSetup = `
mkdir -p /host/usr/local/bin /host` + standInDir + `/proc/sys/kernel && cd /host` + standInDir + ` &&
echo active >state && echo 1 >invocation && echo 10 >proc/sys/kernel/panic && : >proc/sysrq-trigger &&
printf '%s' "$1" >/host/usr/local/bin/systemctl && chmod 755 /host/usr/local/bin/systemctl
`

// standIn plays what the cluster sees of a node whose kubelet can be stopped and whose kernel can
// crash: the sandbox's own kubelets can't.
type standIn struct {
	kubeconfig, node string

	mu      sync.Mutex
	boots   int
	away    int // looks until it is back after a crash
	renewed metav1.MicroTime
	broken  error

	machine func() (up bool, boot string) // nil for none
	boot    string                        // of the machine, at the last look
}

// standin NODE [INSTANCE] puts the stand-ins on a node, and has the proxy (proxy start) show what they do: while
// the kubelet is stopped, the node is not ready, its lease is not renewed and no command runs. The instance, of Compute
// Engine (cloud start), is the node's machine: its boots are those of the node, and each starts the kubelet.
func cmdStandIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: standin NODE [INSTANCE]")
	}
	value, ok := proxies.Load(ts)
	if !ok {
		ts.Fatalf("no proxy: start it first")
	}
	if out, code := onNode(ts, args[0], "sh", "-c", standInSetup, "sh", systemctl); code != 0 {
		ts.Fatalf("stand-ins on node %s: %s", args[0], out)
	}
	k := &standIn{kubeconfig: ts.Getenv("KUBECONFIG"), node: args[0], renewed: metav1.NowMicro()}
	if len(args) == 2 {
		value, ok := cloudsOf.Load(ts)
		if !ok {
			ts.Fatalf("no cloud: start it first")
		}
		k.machine = func() (bool, string) {
			ready, boot, _ := value.(*scriptClouds).compute.Node(args[1])
			return ready, boot
		}
		_, k.boot = k.machine()
	}
	value.(*sandboxtest.Proxy).Handle(k.requests)
	ts.Defer(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.broken != nil {
			testOf(ts).Errorf("the stand-in of node %s: %v", k.node, k.broken)
		}
	})
}

// requests are those that need the kubelet, or ask about it.
func (k *standIn) requests(r *http.Request) sandboxtest.Fault {
	switch path := r.URL.Path; {
	case strings.HasSuffix(path, "/exec"):
		return k.exec
	case r.Method == http.MethodGet && (path == "/api/v1/nodes" || path == "/api/v1/nodes/"+k.node || path == leasesPath+k.node):
		return k.look
	}
	return nil
}

// up reports whether the kubelet answers, and lets what was asked of the kernel happen.
func (k *standIn) up(r *http.Request) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	running, anew := true, ""
	if k.machine != nil {
		var boot string
		if running, boot = k.machine(); boot != k.boot {
			k.boot, anew = boot, "echo active >/host"+standInDir+"/state; "
			k.boots++
		}
	}
	const look = "cd /host" + standInDir + "; cat state proc/sysrq-trigger && : >proc/sysrq-trigger"
	seen, err := sandboxtest.RunOnNode(r.Context(), k.kubeconfig, k.node, "sh", "-c", anew+look)
	if err != nil || seen.Code != 0 {
		if r.Context().Err() == nil {
			k.broken = fmt.Errorf("%v, code %d: %s", err, seen.Code, seen.Stderr)
		}
		return false
	}
	if strings.Contains(seen.Stdout, "\nc") {
		k.away = 4
	}
	if k.away > 0 {
		if k.away--; k.away == 0 {
			k.boots++
		}
		return false
	}
	return running && strings.HasPrefix(seen.Stdout, "active\n")
}

func (k *standIn) exec(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	if k.up(r) {
		forward.ServeHTTP(w, r)
		return
	}
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
		Reason: metav1.StatusReasonInternalError, Message: "error dialing backend: dial tcp 127.0.0.1:10250: connect: connection refused",
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	if err := json.NewEncoder(w).Encode(status); err != nil {
		panic(http.ErrAbortHandler) // the client went
	}
}

// look shows the server's answer with the kubelet's own part in it.
func (k *standIn) look(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	r.Header.Set("Accept", "application/json")
	r.Header.Del("Accept-Encoding")
	server := httptest.NewRecorder()
	forward.ServeHTTP(server, r)
	body := server.Body.Bytes()
	var object map[string]any
	if server.Code == http.StatusOK && json.Unmarshal(body, &object) == nil {
		k.show(object, k.up(r))
		changed, err := json.Marshal(object)
		if err != nil {
			panic(err) // it was JSON before
		}
		body = changed
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(server.Code)
	if _, err := w.Write(body); err != nil {
		panic(http.ErrAbortHandler) // the client went
	}
}

// show changes a node, a list of nodes or a lease to what it is with the stand-in.
func (k *standIn) show(object map[string]any, up bool) {
	if items, ok := object["items"].([]any); ok {
		for _, item := range items {
			if node, ok := item.(map[string]any); ok {
				k.show(node, up)
			}
		}
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	metadata, _ := object["metadata"].(map[string]any)
	status, isNode := object["status"].(map[string]any)
	switch spec, isLease := object["spec"].(map[string]any); {
	case metadata["name"] != k.node:
	case isNode:
		ready := "Unknown"
		if up {
			ready = "True"
		}
		status["conditions"] = []any{map[string]any{"type": "Ready", "status": ready}}
		status["nodeInfo"] = map[string]any{"bootID": fmt.Sprintf("boot-%d", k.boots)}
	case isLease:
		if up {
			k.renewed = metav1.NewMicroTime(time.Now())
		}
		spec["renewTime"] = k.renewed
	}
}

// machine VAR NODE gives a node a machine of Compute Engine, which runs, and puts its name into a variable.
func cmdMachine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: machine VAR NODE")
	}
	value, ok := cloudsOf.Load(ts)
	if !ok {
		ts.Fatalf("no cloud: start it first")
	}
	instance := "sandbox-project/zone-a/" + args[1]
	patch := fmt.Appendf(nil, `{"spec":{"providerID":"gce://%s"}}`, instance)
	_, err := clientset(ts).CoreV1().Nodes().Patch(context.Background(), args[1], types.MergePatchType, patch, metav1.PatchOptions{})
	ts.Check(err)
	value.(*scriptClouds).compute.AddInstance(instance, "RUNNING")
	ts.Setenv(args[0], instance)
}
