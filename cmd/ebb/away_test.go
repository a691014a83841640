package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// slowSteps is a scenario whose run and undo take their time, so that a server can go away between.
const slowSteps = `"""Creates config maps, slowly."""

scenario = Scenario(
    type = "slow_scenarios",
    help = "creates config maps, slowly",
    fields = {"namespace": field(required = True), "fail": field(type = "bool", default = False)},
    rights = [right("create get delete", "configmaps")],
)

def run(config):
    for i in range(8):
        name = "step-%d" % i
        set_rollback_callable(
            rollback_step,
            RollbackContent(namespace = config.namespace, resource_identifier = name),
            verify = verify_step,
            undoes = [ref("ConfigMap", name, config.namespace)],
        )
        k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": config.namespace}})
        time.sleep(0.15)
    if config.fail:
        fail("as it was told to")

def rollback_step(rollback_content):
    """Deletes the config map."""
    time.sleep(0.15)
    k8s.delete("ConfigMap", rollback_content.resource_identifier, rollback_content.namespace, owned = True, ignore_not_found = True)

def verify_step(rollback_content):
    """Fails while the config map exists."""
    if k8s.get("ConfigMap", rollback_content.resource_identifier, rollback_content.namespace) != None:
        fail("config map %s still exists" % rollback_content.resource_identifier)
`

const awayConfig = `
kraken:
  kubeconfig_path: %q
  rollback_versions_directory: versions
  scenario_scripts_directory: steps
  auto_rollback: %s
  chaos_scenarios:
    - slow_scenarios: [slow.yaml]
tunings:
  wait_duration: 0
`

// TestServerGoesAway has a real API server end, start again, and be silent, in the middle of
// runs and of replays.
func TestServerGoesAway(t *testing.T) {
	t.Parallel()
	a := &away{server: sandboxtest.Own(t)}
	config, err := clientcmd.BuildConfigFromFlags("", a.server.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if a.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}

	t.Run("killed in mid-run", func(t *testing.T) {
		a.begin(t, false)
		run := a.start(t, "run", "--config", "config.yaml")
		a.reach(t, run, "*.star", 3)
		a.server.Kill(t)
		run.waitFor(t, `WARNING\] API server \S+ does not answer \(.*\), waiting up to \d+m\d+s$`)
		a.server.Start(t)
		run.ends(t, "0")
		run.waitFor(t, `API server \S+ answers again after `)
		a.wantRestored(t)
	})
	t.Run("expired credentials", a.expired)
	t.Run("stopped in mid-replay", func(t *testing.T) {
		a.begin(t, true)
		replay := a.start(t, "execute-rollback", "--config", "config.yaml", "--timeout", "2s")
		a.reach(t, replay, "*.executed", 2)
		a.server.Stop(t)
		replay.ends(t, "3")
		a.wantOneFailure(t, replay)
		// It is still away when the next one begins.
		replay = a.start(t, "execute-rollback", "--config", "config.yaml")
		replay.waitFor(t, `WARNING\] API server \S+ does not answer \(.*connection refused\), waiting up to \d+m\d+s$`)
		a.server.Start(t)
		replay.ends(t, "0")
		replay.waitFor(t, `API server \S+ answers again after `)
		a.wantRestored(t)
	})
	t.Run("silent in mid-replay", func(t *testing.T) {
		a.begin(t, true)
		replay := a.start(t, "execute-rollback", "--config", "config.yaml", "--timeout", "2s")
		a.reach(t, replay, "*.executed", 2)
		a.server.Signal(t, syscall.SIGSTOP)
		replay.ends(t, "3")
		a.wantOneFailure(t, replay)
		a.server.Signal(t, syscall.SIGCONT)
		replay = a.start(t, "execute-rollback", "--config", "config.yaml", "--file-timeout", "6s")
		a.reach(t, replay, "*.executed", 4)
		a.server.Signal(t, syscall.SIGSTOP)
		replay.waitFor(t, `WARNING\] API server \S+ does not answer \(no answer for 5s\), waiting up to `)
		time.Sleep(2 * time.Second) // longer in all than the file has: the silence is not its own
		a.server.Signal(t, syscall.SIGCONT)
		replay.ends(t, "0")
		replay.waitFor(t, `API server \S+ answers again after `)
		a.wantRestored(t)
	})
}

// expired has the credentials of the kubeconfig run out.
func (a *away) expired(t *testing.T) {
	a.begin(t, true)
	yesterday, tomorrow := time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour)
	account, role := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: "default", Namespace: a.namespace}, rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"}
	_, err := a.client.RbacV1().RoleBindings(a.namespace).Create(t.Context(),
		&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Subjects: []rbacv1.Subject{account}, RoleRef: role}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var request *authenticationv1.TokenRequest
	if !eventually(func() bool { // a controller makes the account
		request, err = a.client.CoreV1().ServiceAccounts(a.namespace).CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
		return err == nil
	}) {
		t.Fatal(err)
	}
	token := func(until time.Time) string {
		return a.server.As(t, &clientcmdapi.AuthInfo{Token: a.server.TokenUntil(t, request.Status.Token, until)})
	}
	execute := func(kubeconfig string) (string, int) {
		return command(t, a.work, "execute-rollback", "--config", "config.yaml", "--kubeconfig", kubeconfig)
	}
	for name, kubeconfig := range map[string]string{"certificate": a.server.AdminUntil(t, yesterday), "token": token(yesterday)} {
		out, code := execute(kubeconfig)
		said := strings.Count(out, `.star: failed: line 26:15: k8s.delete: get namespaces "kube-system": the credentials in the kubeconfig were refused (401): log in again`+"\n")
		if code != exitPending || said != 1 || strings.Contains(out, "waiting up to") {
			t.Errorf("expired %s: exit code %d, want %d; said %d times, want once and without waiting:\n%s", name, code, exitPending, said, out)
		}
	}
	if pending := len(pendingFiles(t, a.work)); pending != 8 {
		t.Errorf("%d files are pending, want all 8", pending)
	}
	// The same with time left are good: it was the end of it that was refused.
	if out, code := execute(token(tomorrow)); code != 0 {
		t.Errorf("with a good token: exit code %d:\n%s", code, out)
	}
	a.wantRestored(t)
	a.begin(t, true)
	if out, code := execute(a.server.AdminUntil(t, tomorrow)); code != 0 {
		t.Errorf("with a good certificate: exit code %d:\n%s", code, out)
	}
	a.wantRestored(t)
}

type away struct {
	server          *sandboxtest.Server
	client          kubernetes.Interface
	namespace, work string
}

// begin makes a directory to work in and, where pending, what a failed run leaves.
func (a *away) begin(t *testing.T, pending bool) {
	a.namespace, a.work = a.server.Namespace(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(a.work, "steps"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"steps/slow.star": slowSteps,
		"config.yaml":     fmt.Sprintf(awayConfig, a.server.Kubeconfig, map[bool]string{true: "False", false: "True"}[pending]),
		"slow.yaml":       fmt.Sprintf("{namespace: %s, fail: %t}\n", a.namespace, pending),
	} {
		if err := os.WriteFile(filepath.Join(a.work, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if pending {
		if out, code := command(t, a.work, "run", "--config", "config.yaml"); code != exitPending {
			t.Fatalf("run: exit code %d, want %d:\n%s", code, exitPending, out)
		}
	}
}

// reach waits until there are so many files that match.
func (a *away) reach(t *testing.T, p *background, pattern string, n int) {
	t.Helper()
	if !eventually(func() bool {
		files, err := filepath.Glob(filepath.Join(a.work, "versions", "*", pattern))
		return err == nil && len(files) >= n
	}) {
		t.Fatalf("there never were %d files %s:\n%s", n, pattern, p)
	}
}

// wantRestored reads the cluster.
func (a *away) wantRestored(t *testing.T) {
	t.Helper()
	list, err := a.client.CoreV1().ConfigMaps(a.namespace).List(context.Background(), metav1.ListOptions{LabelSelector: "ebb.dev/run-uuid"})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		t.Errorf("left: %s", item.Name)
	}
	if files := pendingFiles(t, a.work); len(files) > 0 {
		t.Errorf("pending: %q", files)
	}
}

// wantOneFailure checks that the one file at which the server went is blamed, and the older ones wait.
func (a *away) wantOneFailure(t *testing.T, p *background) {
	t.Helper()
	failed := regexp.MustCompile(`(?m)\.star: failed: .*API server https://\S+ does not answer \(.*\), waited \S+: give it longer with --timeout$`)
	if got := len(failed.FindAllString(p.String(), -1)); got != 1 {
		t.Errorf("%d files failed because the server does not answer, want 1:\n%s", got, p)
	}
	blocked := strings.Count(p.String(), ".star: blocked: ")
	if pending := len(pendingFiles(t, a.work)); pending < 2 || blocked != pending-1 {
		t.Errorf("%d files are pending and %d blocked:\n%s", pending, blocked, p)
	}
}

// background is a command that runs.
type background struct {
	done chan error

	mu   sync.Mutex
	said bytes.Buffer
}

func (b *background) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.Write(p)
}

// String returns what it said so far.
func (b *background) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.String()
}

func (a *away) start(t *testing.T, args ...string) *background {
	path, err := exec.LookPath("ebb")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = a.work
	b := &background{done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = b, b
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		b.done <- cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		select {
		case <-ended:
			return
		default:
		}
		// The test failed before its end.
		if err := cmd.Process.Kill(); err != nil {
			t.Log(err)
		}
		<-ended
	})
	return b
}

// waitFor waits for a line.
func (b *background) waitFor(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	if !eventually(func() bool { return re.MatchString(b.String()) }) {
		t.Fatalf("no line matches %q:\n%s", pattern, b)
	}
}

// ends waits for the end.
func (b *background) ends(t *testing.T, want string) {
	t.Helper()
	if got := codeOf(<-b.done); got != want {
		t.Errorf("ended with %s, want %s:\n%s", got, want, b)
	}
}
