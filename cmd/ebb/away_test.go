package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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

// TestServerOutage has a real API server end, start again, and be silent, in the middle of
// runs and of replays.
func TestServerOutage(t *testing.T) {
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
		run := a.start("", "run", "--config", "config.yaml")
		a.reach(run, "*.star", 3)
		a.server.Kill(t)
		a.await(run, `(?m)WARNING\] API server \S+ does not answer \(.*\), waiting up to \d+m\d+s$`)
		a.server.Start(t)
		a.ends(run, "0")
		a.await(run, `(?m)API server \S+ answers again after `)
		a.wantRestored()
	})
	t.Run("expired credentials", a.expired)
	t.Run("store of another cluster", a.storeElsewhere)
	t.Run("stopped in mid-replay", func(t *testing.T) {
		a.begin(t, true)
		replay := a.start("", "execute-rollback", "--config", "config.yaml", "--timeout", "2s")
		a.reach(replay, "*.executed", 2)
		a.server.Stop(t)
		a.ends(replay, "3")
		a.wantOneFailure(replay)
		// It is still away when the next one begins.
		replay = a.start("", "execute-rollback", "--config", "config.yaml")
		a.await(replay, `(?m)WARNING\] API server \S+ does not answer \(.*connection refused\), waiting up to \d+m\d+s$`)
		a.server.Start(t)
		a.ends(replay, "0")
		a.await(replay, `(?m)API server \S+ answers again after `)
		a.wantRestored()
	})
	t.Run("silent in mid-replay", func(t *testing.T) {
		a.begin(t, true)
		replay := a.start("", "execute-rollback", "--config", "config.yaml", "--timeout", "2s")
		a.reach(replay, "*.executed", 2)
		a.server.Signal(t, syscall.SIGSTOP)
		a.ends(replay, "3")
		a.wantOneFailure(replay)
		a.server.Signal(t, syscall.SIGCONT)
		replay = a.start("", "execute-rollback", "--config", "config.yaml", "--file-timeout", "6s")
		a.reach(replay, "*.executed", 4)
		a.server.Signal(t, syscall.SIGSTOP)
		a.await(replay, `(?m)WARNING\] API server \S+ does not answer \(no answer for 5s\), waiting up to `)
		time.Sleep(2 * time.Second) // longer in all than the file has: the silence is not its own
		a.server.Signal(t, syscall.SIGCONT)
		a.ends(replay, "0")
		a.await(replay, `(?m)API server \S+ answers again after `)
		a.wantRestored()
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
	execute := func(kubeconfig string) (code, said string) {
		return a.ebb("", "execute-rollback", "--config", "config.yaml", "--kubeconfig", kubeconfig)
	}
	for name, kubeconfig := range map[string]string{"certificate": a.server.AdminUntil(t, yesterday), "token": token(yesterday)} {
		code, out := execute(kubeconfig)
		said := strings.Count(out, `.star: failed: line 26:15: k8s.delete: get namespaces "kube-system": the credentials in the kubeconfig were refused (401)`+"\n")
		if code != "3" || said != 1 || strings.Contains(out, "waiting up to") {
			t.Errorf("expired %s: exit code %s, want 3; said %d times, want once and without waiting:\n%s", name, code, said, out)
		}
	}
	if pending := len(a.pending()); pending != 8 {
		t.Errorf("%d files are pending, want all 8", pending)
	}
	// The same with time left are good: it was the end of it that was refused.
	if code, out := execute(token(tomorrow)); code != "0" {
		t.Errorf("with a good token: exit code %s:\n%s", code, out)
	}
	a.wantRestored()
	a.begin(t, true)
	if code, out := execute(a.server.AdminUntil(t, tomorrow)); code != "0" {
		t.Errorf("with a good certificate: exit code %s:\n%s", code, out)
	}
	a.wantRestored()
}

type away struct {
	*world
	server *sandboxtest.Server
	client kubernetes.Interface
}

// begin makes a directory to work in and, where pending, what a failed run leaves.
func (a *away) begin(t *testing.T, pending bool) {
	a.world = &world{T: t, namespace: a.server.Namespace(t), dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(a.dir, "steps"), 0o700); err != nil {
		t.Fatal(err)
	}
	a.write("steps/slow.star", "%s", slowSteps)
	a.write("config.yaml", autoConfig, a.server.Kubeconfig, map[bool]string{true: "False", false: "True"}[pending], "    - slow_scenarios: [slow.yaml]\n")
	a.write("slow.yaml", "{namespace: %s, fail: %t}\n", a.namespace, pending)
	if pending {
		if code, said := a.ebb("", "run", "--config", "config.yaml"); code != "3" {
			t.Fatalf("run: exit code %s, want 3:\n%s", code, said)
		}
	}
}

// reach waits until there are so many files that match.
func (a *away) reach(p *running, pattern string, n int) {
	a.Helper()
	if !eventually(func() bool {
		files, err := filepath.Glob(filepath.Join(a.dir, "versions", "*", pattern))
		return err == nil && len(files) >= n
	}) {
		a.Fatalf("there never were %d files %s:\n%s", n, pattern, a.said(p))
	}
}

// ends waits for the end of a process.
func (a *away) ends(p *running, want string) {
	a.Helper()
	if got := a.finish(p); got != want {
		a.Errorf("ended with %s, want %s:\n%s", got, want, a.said(p))
	}
}

// wantRestored reads the cluster, which is not the other tests'.
func (a *away) wantRestored() {
	a.Helper()
	list, err := a.client.CoreV1().ConfigMaps(a.namespace).List(context.Background(), metav1.ListOptions{LabelSelector: "ebb.dev/run-uuid"})
	if err != nil {
		a.Fatal(err)
	}
	for _, item := range list.Items {
		a.Errorf("left: %s", item.Name)
	}
	if files := a.pending(); len(files) > 0 {
		a.Errorf("pending: %q", files)
	}
}

// wantOneFailure checks that the one file at which the server went is blamed, and the older ones wait.
func (a *away) wantOneFailure(p *running) {
	a.Helper()
	failed := regexp.MustCompile(`(?m)\.star: failed: .*API server https://\S+ does not answer \(.*\), waited \S+$`)
	if got := len(failed.FindAllString(a.said(p), -1)); got != 1 {
		a.Errorf("%d files failed because the server does not answer, want 1:\n%s", got, a.said(p))
	}
	blocked := strings.Count(a.said(p), ".star: blocked: ")
	if pending := len(a.pending()); pending < 2 || blocked != pending-1 {
		a.Errorf("%d files are pending and %d blocked:\n%s", pending, blocked, a.said(p))
	}
}
