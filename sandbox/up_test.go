package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func TestClusterFromReadyToNothingLeft(t *testing.T) {
	s := launch(t, "sandbox", "--nodes", "3", "--zones", "zone-a,zone-b")
	s.waitReady(t)
	client := s.client(t)

	if info, err := os.Stat(s.kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v, want mode 0600", info, err)
	}
	checkNodes(t, client) // no waiting from here to the pods: "ready" says that they can be made
	checkPhases(t, client)
	checkDeletions(t, client)

	_, config, err := dial(s.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if code := s.end(t, syscall.SIGTERM); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
	if got := s.stdout.String(); got != "ready\n" {
		t.Errorf("stdout is %q, want ready once and nothing else", got)
	}
	if got := s.stderr.String(); got != "" {
		t.Errorf("stderr is %q, want nothing", got)
	}
	if left := s.leftovers(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(config.Host, "https://"))
	if err == nil {
		t.Errorf("something still listens on %s", conn.RemoteAddr())
	}
}

// checkNodes checks what the nodes are.
func checkNodes(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, n := range nodes.Items {
		seen = append(seen, n.Name+" "+n.Labels[corev1.LabelTopologyZone]+" "+n.Spec.ProviderID)
		if _, worker := n.Labels["node-role.kubernetes.io/worker"]; !worker || n.Labels[corev1.LabelHostname] != n.Name {
			t.Errorf("node %q: labels are %v", n.Name, n.Labels)
		}
		a := n.Status.Allocatable
		if got := a.Cpu().String() + " " + a.Memory().String() + " " + a.Pods().String(); got != "4 16Gi 500" {
			t.Errorf("node %q: allocatable is %q, want %q", n.Name, got, "4 16Gi 500")
		}
		if len(n.Spec.Taints) > 0 {
			t.Errorf("node %q: tainted by %v", n.Name, n.Spec.Taints)
		}
	}
	want := `worker-1 zone-a gce://sandbox-project/zone-a/worker-1
worker-2 zone-b gce://sandbox-project/zone-b/worker-2
worker-3 zone-a gce://sandbox-project/zone-a/worker-3`
	if got := strings.Join(seen, "\n"); got != want {
		t.Errorf("nodes are\n%s\nwant\n%s", got, want)
	}
}

// checkPhases checks what becomes of pods that run, end, fail and can't go.
func checkPhases(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	plain := pod("plain", func(p *corev1.Pod) {
		privileged := true
		p.Spec.HostNetwork = true
		p.Spec.NodeSelector = map[string]string{corev1.LabelHostname: "worker-2"}
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &privileged}
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "DURATION", Value: "1"}}
		p.Spec.RestartPolicy = corev1.RestartPolicyAlways // so DURATION means nothing
	})
	create(t, client, plain,
		pod("hog", func(p *corev1.Pod) {
			p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "DURATION", Value: "1"}}
		}),
		pod("fails", func(p *corev1.Pod) {
			p.Annotations = map[string]string{completeAfter: "10ms", exitCode: "7"}
		}),
		pod("held", func(p *corev1.Pod) { p.Finalizers = []string{"test.ebb/hold"} }),
		pod("slow", func(p *corev1.Pod) { p.Annotations = map[string]string{stopAfter: "1h"} }))
	awaitPhase(t, client, "plain", corev1.PodRunning)
	awaitPhase(t, client, "held", corev1.PodRunning)
	awaitPhase(t, client, "slow", corev1.PodRunning)
	hog := awaitPhase(t, client, "hog", corev1.PodSucceeded)
	if code := hog.Status.ContainerStatuses[0].State.Terminated.ExitCode; code != 0 {
		t.Errorf("hog: exit code %d, want 0", code)
	}
	failed := awaitPhase(t, client, "fails", corev1.PodFailed)
	if code := failed.Status.ContainerStatuses[0].State.Terminated.ExitCode; code != 7 {
		t.Errorf("fails: exit code %d, want 7", code)
	}
	if now := get(t, client, "plain"); now.Status.Phase != corev1.PodRunning || now.Spec.NodeName != "worker-2" {
		t.Errorf("plain: is %s on %q, want Running on worker-2", now.Status.Phase, now.Spec.NodeName)
	}
}

// checkDeletions checks that those pods go at once, after the finalizer, or at the end of the grace.
func checkDeletions(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	pods := client.CoreV1().Pods("default")
	for _, name := range []string{"plain", "held"} {
		if err := pods.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	two := int64(2)
	if err := pods.Delete(t.Context(), "slow", metav1.DeleteOptions{GracePeriodSeconds: &two}); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, client, "plain")
	awaitGone(t, client, "slow")
	if held := get(t, client, "held"); held.DeletionTimestamp == nil {
		t.Error("held: not being deleted")
	}
	if _, err := pods.Patch(t.Context(), "held", "application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, client, "held")
}

func TestRestrictedUser(t *testing.T) {
	s := launch(t, "sandbox")
	s.waitReady(t)
	out := filepath.Join(t.TempDir(), "alice")
	asUser := func(args ...string) *kubernetes.Clientset {
		t.Helper()
		var stdout, stderr bytes.Buffer
		args = append([]string{"user", "--kubeconfig", s.kubeconfig, "--name", "alice", "--out", out}, args...)
		if code := run(args, &stdout, &stderr); code != exitDone {
			t.Fatalf("%q: exit code %d; stderr: %s", args, code, &stderr)
		}
		client, _, err := dial(out)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	list := func(c *kubernetes.Clientset, namespace string) error {
		_, err := c.NetworkingV1().NetworkPolicies(namespace).List(t.Context(), metav1.ListOptions{})
		return err
	}
	namespace := func(c *kubernetes.Clientset, name string) error {
		_, err := c.CoreV1().Namespaces().Get(t.Context(), name, metav1.GetOptions{})
		return err
	}

	alice := asUser("--namespace", "default",
		"--allow", "create,delete,get,list:networkpolicies.networking.k8s.io", "--allow", "get:namespaces@kube-system")
	for what, err := range map[string]error{
		"list policies in default":  list(alice, "default"),
		"get namespace kube-system": namespace(alice, "kube-system"),
	} {
		if err != nil {
			t.Errorf("%s: %v, want no error", what, err)
		}
	}
	_, pods := alice.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
	for what, err := range map[string]error{
		"list policies in kube-system": list(alice, "kube-system"),
		"get namespace default":        namespace(alice, "default"),
		"list pods in default":         pods,
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want forbidden", what, err)
		}
	}

	// The old certificate stays good, the old rights don't.
	again := asUser("--allow", "get,list:namespaces")
	if err := namespace(again, "default"); err != nil {
		t.Errorf("with new rights: get namespace default: %v, want no error", err)
	}
	eventually(t, "the old rights are gone", func() (bool, error) {
		err := list(alice, "default")
		return apierrors.IsForbidden(err), err
	})
	left, err := s.client(t).CertificatesV1().CertificateSigningRequests().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) > 0 {
		t.Errorf("signing requests: %v, %v, want none left", left, err)
	}
}

func TestDataIsKept(t *testing.T) {
	// Too long for a socket, and nothing that could go into a URL or a list.
	data := filepath.Join(t.TempDir(), strings.Repeat("long, ", 18)+"100%")
	first := launch(t, "sandbox", "--data", data)
	first.waitReady(t)
	_, config, err := dial(first.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(config.Host, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	cluster := clusterUID(t, first.client(t))
	create(t, first.client(t), pod("kept", func(p *corev1.Pod) {}))
	awaitPhase(t, first.client(t), "kept", corev1.PodRunning)

	second := launch(t, "sandbox", "--data", data)
	second.waitEnd(t)
	if code := second.exitCode(t); code != exitFailed {
		t.Errorf("second sandbox on the same data: exit code %d, want %d", code, exitFailed)
	}
	if want := fmt.Sprintf("is in use by process %d on ", first.cmd.Process.Pid); !strings.Contains(second.stderr.String(), want) {
		t.Errorf("second sandbox on the same data: stderr is %q, want %q in it", second.stderr, want)
	}

	if code := first.end(t, syscall.SIGINT); code != exitDone {
		t.Errorf("exit code %d, want %d", code, exitDone)
	}
	if left, err := os.ReadDir(first.tmp); err != nil || len(left) > 0 {
		t.Errorf("left in TMPDIR: %v, %v, want nothing", left, err)
	}
	oldConfig, err := os.ReadFile(first.kubeconfig)
	if err != nil {
		t.Fatalf("with --data the kubeconfig stays: %v", err)
	}

	// The same port, so the old kubeconfig goes on working.
	third := launch(t, "sandbox", "--data", data, "--port", port)
	third.waitReady(t)
	newConfig, err := os.ReadFile(third.kubeconfig)
	if err != nil || !bytes.Equal(oldConfig, newConfig) {
		t.Errorf("the kubeconfig changed with a restart on the same port (%v)", err)
	}
	if got := clusterUID(t, first.client(t)); got != cluster {
		t.Errorf("cluster UID is %q, want %q", got, cluster)
	}
	get(t, first.client(t), "kept")

	// A kill leaves sockets and a lock file lying about; they are in no one's way.
	if code := third.end(t, syscall.SIGKILL); code != -1 {
		t.Errorf("exit code %d, want -1 for a killed process", code)
	}
	fourth := launch(t, "sandbox", "--data", data)
	fourth.waitReady(t)
	client := fourth.client(t)
	if got := clusterUID(t, client); got != cluster {
		t.Errorf("cluster UID after a kill is %q, want %q", got, cluster)
	}
	get(t, client, "kept")
	create(t, client, pod("later", func(p *corev1.Pod) {}))
	awaitPhase(t, client, "later", corev1.PodRunning)
}

func TestEndsWithParent(t *testing.T) {
	t.Run("killed", func(t *testing.T) {
		s := launch(t, "parent") // hands its sandbox no pipe, so that only its own end can be noticed
		s.waitReady(t)
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		s.waitEnd(t) // of the grandchild
		if left := s.leftovers(t); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
	t.Run("closes the pipe", func(t *testing.T) {
		s := launch(t, "sandbox")
		s.waitReady(t)
		if err := s.stdin.Close(); err != nil {
			t.Fatal(err)
		}
		s.waitEnd(t)
		if code := s.exitCode(t); code != exitDone {
			t.Errorf("exit code %d, want %d; stderr: %s", code, exitDone, s.stderr)
		}
		if left := s.leftovers(t); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// etcd would panic, or end the process where it stands.
func TestBrokenData(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	first := launch(t, "sandbox", "--data", data)
	first.waitReady(t)
	if code := first.end(t, syscall.SIGTERM); code != exitDone {
		t.Fatalf("exit code %d, want %d", code, exitDone)
	}
	db := filepath.Join(data, "etcd", "member", "snap", "db")
	if err := os.WriteFile(db, bytes.Repeat([]byte("broken"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	second := launch(t, "sandbox", "--data", data)
	second.waitEnd(t)
	if code := second.exitCode(t); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	got := second.stderr.String()
	if !strings.HasPrefix(got, "ebb-sandbox: start etcd: ") || strings.Count(got, "\n") != 2 || !strings.Contains(got, filepath.Join(data, "log")) {
		t.Errorf("stderr is %q, want one line with the error and one with the log's name", got)
	}
	if _, err := os.Stat(filepath.Join(data, "run")); !os.IsNotExist(err) {
		t.Errorf("run/ is still there: %v", err)
	}
}

// A signal may come at any point of the start.
func TestEndsWhileStarting(t *testing.T) {
	s := launch(t, "sandbox")
	eventually(t, "the API server's CA exists", func() (bool, error) {
		found, err := filepath.Glob(filepath.Join(s.tmp, "ebb-sandbox-*", "pki", "ca.crt"))
		return len(found) > 0, err
	})
	if code := s.end(t, syscall.SIGHUP); code != exitDone {
		t.Errorf("exit code %d, want %d; stderr: %s", code, exitDone, s.stderr)
	}
	if left := s.leftovers(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	})
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "letter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(own, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"port in use":        {[]string{"--port", port}, "take a port for the API server"},
		"foreign directory":  {[]string{"--data", home}, "was not made by ebb-sandbox"},
		"open directory":     {[]string{"--data", open}, "can be written to by others"},
		"data is a file":     {[]string{"--data", own}, "not a directory"},
		"foreign kubeconfig": {[]string{"--kubeconfig", own}, "was not written by ebb-sandbox"},
		"no directory":       {[]string{"--kubeconfig", filepath.Join(home, "no", "config")}, "no place for the kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			s := launch(t, "sandbox", test.args...)
			s.waitEnd(t)
			if code := s.exitCode(t); code != exitFailed || !strings.Contains(s.stderr.String(), test.want) {
				t.Errorf("exit code %d, stderr %q, want %d and %q", code, s.stderr, exitFailed, test.want)
			}
			if left := s.leftovers(t); len(left) > 0 || s.stdout.String() != "" {
				t.Errorf("left behind: %q, printed: %q", left, s.stdout)
			}
		})
	}
	if content, err := os.ReadFile(own); err != nil || string(content) != "apiVersion: v1\nkind: Config\n" {
		t.Errorf("the foreign kubeconfig was changed: %q, %v", content, err)
	}
}
