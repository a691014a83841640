package main

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// kubelet POD[/SIDECAR]... has the first containers of pods, or native sidecars, restart, as the sandbox's kubelets never do: it gives them the ID by which
// crictl knows them, and counts a restart when the first process has ended.
func cmdKubelet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: kubelet POD[/SIDECAR]...")
	}
	client := clientset(ts)
	ctx, cancel := context.WithCancel(context.Background())
	var loops []<-chan struct{}
	ts.Defer(func() {
		cancel()
		for _, done := range loops {
			<-done
		}
	})
	for _, arg := range args {
		name, sidecar, _ := strings.Cut(arg, "/")
		pod, err := client.CoreV1().Pods(ts.Getenv("NS")).Get(ctx, name, metav1.GetOptions{})
		ts.Check(err)
		k := &kubelet{client: client, kubeconfig: ts.Getenv("KUBECONFIG"), pod: pod, container: pod.Spec.Containers[0], statuses: "containerStatuses", report: testOf(ts).Logf}
		if sidecar != "" {
			i := slices.IndexFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == sidecar })
			if i < 0 {
				ts.Fatalf("kubelet: pod %s has no init container %s", name, sidecar)
			}
			k.container, k.statuses = pod.Spec.InitContainers[i], "initContainerStatuses"
		}
		runInPod(ts, name+"/"+k.container.Name, []string{"true"}) // the first command makes its processes
		ts.Check(k.announce(ctx, true))
		k.first = k.pid(ctx)
		if k.first == 0 {
			ts.Fatalf("kubelet: pod %s has no process", name)
		}
		done := make(chan struct{})
		loops = append(loops, done)
		go func() {
			defer close(done)
			k.watch(ctx)
		}()
	}
}

// kubelet plays the restarts of one container. The sandbox has one first process for all containers of a pod.
type kubelet struct {
	client     *kubernetes.Clientset
	kubeconfig string
	pod        *corev1.Pod
	container  corev1.Container
	statuses   string // the key of the pod's status that has its state
	first      int    // the number of its first process
	ended      bool   // and it has ended
	restarts   int
	report     func(format string, args ...any)
}

// onNode runs a shell script on the pod's node.
func (k *kubelet) onNode(ctx context.Context, script string) (sandboxtest.Result, error) {
	return sandboxtest.RunOnNode(ctx, k.kubeconfig, k.pod.Spec.NodeName, "sh", "-c", script)
}

// pid returns the number of the pod's first process, 0 if there is none.
func (k *kubelet) pid(ctx context.Context) int {
	r, err := k.onNode(ctx, "chroot /host crictl inspectp --output go-template --template '{{.info.pid}}' "+string(k.pod.UID))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(r.Stdout))
	if err != nil {
		return 0
	}
	return pid
}

// watch counts a restart whenever the first process has ended. The next command in the pod makes its processes anew.
func (k *kubelet) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
		r, err := k.onNode(ctx, "test -d /proc/"+strconv.Itoa(k.first))
		switch {
		case err != nil:
		case k.ended:
			pid := k.pid(ctx)
			k.ended, k.first = pid == k.first || pid == 0, pid
		case r.Code != 0:
			k.ended = true
			k.restarts++
			for _, running := range []bool{false, true} {
				if err := k.announce(ctx, running); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
					k.report("kubelet: %v", err)
				}
			}
		}
	}
}

// announce writes the state of the container.
func (k *kubelet) announce(ctx context.Context, running bool) error {
	now := time.Now().UTC().Format(time.RFC3339)
	state := map[string]any{"running": map[string]any{"startedAt": now}}
	if !running {
		state = map[string]any{"terminated": map[string]any{"exitCode": 137, "reason": "Error", "startedAt": now, "finishedAt": now}}
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{k.statuses: []any{map[string]any{
		"name": k.container.Name, "image": k.container.Image, "imageID": k.container.Image, "containerID": "containerd://" + string(k.pod.UID),
		"ready": running, "started": running, "restartCount": k.restarts, "state": state,
	}}}})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Pods(k.pod.Namespace).Patch(ctx, k.pod.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
