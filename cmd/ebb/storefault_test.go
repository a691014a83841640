package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// gatedSteps is a scenario that is faultedRun between its two changes: it waits for a config map.
const gatedSteps = `"""Creates a config map, waits for another one's, and creates a second one."""

scenario = Scenario(
    type = "gated_scenarios",
    help = "creates two config maps, the second one when it may",
    fields = {"namespace": field(required = True)},
    rights = [right("create get delete", "configmaps")],
)

def run(config):
    step(config.namespace, "one")
    for i in range(6000):
        if k8s.get("ConfigMap", "gate", config.namespace) != None:
            break
        time.sleep(0.2)
    step(config.namespace, "two")

def step(namespace, name):
    """Creates a config map.

    Args:
        namespace: where.
        name: its name.
    """
    set_rollback_callable(
        rollback_step,
        RollbackContent(namespace = namespace, resource_identifier = name),
        verify = verify_step,
        undoes = [ref("ConfigMap", name, namespace)],
    )
    k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}})

def rollback_step(rollback_content):
    """Deletes the config map."""
    k8s.delete("ConfigMap", rollback_content.resource_identifier, rollback_content.namespace, owned = True, ignore_not_found = True)

def verify_step(rollback_content):
    """Fails while the config map exists."""
    if k8s.get("ConfigMap", rollback_content.resource_identifier, rollback_content.namespace) != None:
        fail("config map %s still exists" % rollback_content.resource_identifier)
`

// storeFaultTimes are those of the stores here: a holder that could not renew its Lease for 5 s stops.
const storeFaultTimes = "60s,1s,5s,200ms,300ms"

// patientTimes are those of all others: on a busy machine a renewal takes its time.
const patientTimes = "60s,1s,20s,200ms,300ms"

// faultedRun is a run whose version files are in a namespace that something happens to.
type faultedRun struct {
	*world
	admin *kubernetes.Clientset
	store string // the namespace
	proxy *sandboxtest.Proxy
}

// The ways to keep version files in a cluster.
const (
	inCluster  = "rollback_store: cluster"
	required   = "rollback_store: both"
	bestEffort = "rollback_store: both, rollback_store_required: False"
)

// storeFault is what becomes of a store in the middle of a run. Whatever it is, the run undoes what it did,
// unless somebody else has the execution.
type storeFault struct {
	name   string
	do     func(h *faultedRun)
	seen   string              // a pattern of what the run says once it has noticed; "" if it need not, before it goes on
	repair func(h *faultedRun) // before another machine looks; nil: nothing is to be mended
	want   map[string]string   // the exit code, by the way of keeping; a pattern
	said   string              // a pattern of what the run says
	left   bool                // its change is left, and the execution is somebody else's

	admin    bool // the runner may do everything, everywhere
	away     bool // the store's API server does not answer
	outlives bool // it lasts until the runner stops since it could not renew its Lease
}

var storeFaults = []storeFault{
	{
		name: "no right to Secrets", do: func(h *faultedRun) { h.allow("leases") }, repair: func(h *faultedRun) { h.allow("secrets", "leases") },
		want: map[string]string{inCluster: "3", required: "3", bestEffort: "0"}, said: `may not create secrets`,
	},
	{
		name: "no right to Leases", outlives: true, do: func(h *faultedRun) { h.allow("secrets"); h.outlive() }, repair: func(h *faultedRun) { h.allow("secrets", "leases") },
		want: map[string]string{inCluster: "1", bestEffort: "1"}, said: `its Lease was last renewed [\d.]+s ago`,
	},
	{
		name: "no right to list Secrets", do: func(h *faultedRun) { h.forbid("list", "secrets") },
		want: map[string]string{inCluster: "1"}, said: `may not list secrets`,
	},
	{
		name: "no right to delete Secrets", do: func(h *faultedRun) { h.forbid("delete", "secrets") }, repair: func(h *faultedRun) { h.grant(allRights()) },
		want: map[string]string{inCluster: "3", required: "3"}, said: `may not delete secrets`,
	},
	{
		name: "namespace deleted, and the rights in it", do: (*faultedRun).deleteNamespace,
		want: map[string]string{inCluster: "3", bestEffort: "[01]"}, said: `may not (create secrets|patch leases)`,
	},
	{
		name: "namespace deleted", do: (*faultedRun).deleteNamespace, admin: true, want: map[string]string{inCluster: "1"}, said: `not found|deleted`,
	},
	{
		name: "Secrets deleted", do: (*faultedRun).deleteSecrets, want: map[string]string{inCluster: "0"}, said: "was deleted or changed by somebody",
	},
	{
		name: "Secrets labelled as undone", do: func(h *faultedRun) { h.labelSecrets("executed") }, want: map[string]string{inCluster: "0"}, said: "was deleted or changed by somebody",
	},
	{
		name: "Lease deleted", do: (*faultedRun).deleteLeases, seen: "was not renewed: .*deleted or emptied by somebody", want: map[string]string{inCluster: "1", bestEffort: "1"}, said: `its Lease was deleted or emptied by somebody`,
	},
	{
		name: "Lease emptied", do: func(h *faultedRun) { h.patchLease(`{"spec":{"holderIdentity":null}}`) }, seen: "was not renewed: .*deleted or emptied by somebody",
		want: map[string]string{inCluster: "1"}, said: `its Lease was deleted or emptied by somebody`,
	},
	{
		name: "Lease annotated", do: func(h *faultedRun) { h.patchLease(`{"metadata":{"annotations":{"note":"by hand"}}}`) },
		want: map[string]string{inCluster: "0"},
	},
	{
		name: "Lease of another holder", do: func(h *faultedRun) { h.patchLease(`{"spec":{"holderIdentity":"bob"}}`) }, seen: "was taken over by", left: true,
		repair: func(h *faultedRun) {
			h.patchLease(`{"metadata":{"annotations":{"ebb.dev/holder":null}},"spec":{"holderIdentity":null}}`)
		},
		want: map[string]string{inCluster: "3"}, said: `was taken over by .*bob`,
	},
	{
		name: "policy refuses new Secrets", do: func(h *faultedRun) { h.refuse("CREATE") },
		want: map[string]string{inCluster: "1", required: "1", bestEffort: "0"}, said: `secrets`,
	},
	{
		name: "policy refuses changes", do: func(h *faultedRun) { h.refuse("UPDATE", "DELETE") }, repair: (*faultedRun).permit,
		want: map[string]string{inCluster: "3", required: "3", bestEffort: "0"}, said: `secrets`,
	},
	{
		name: "quota used up", do: (*faultedRun).useUpQuota, want: map[string]string{inCluster: "1", bestEffort: "0"}, said: `secrets.*quota`,
	},
	{
		name: "away", away: true, do: func(h *faultedRun) { h.check(h.proxy.Stop()) }, repair: func(h *faultedRun) { h.check(h.proxy.Start()) },
		want: map[string]string{inCluster: "3", required: "3", bestEffort: "[01]"}, said: `does not answer`,
	},
}

// TestStoreFaults storeFaults the store in the middle of a run, and looks at what the cluster has afterwards:
// of the chaos nothing, whatever became of its version files.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	key := newKeyFile(t)
	t.Run("policy refuses Secrets before the first change", func(t *testing.T) {
		t.Parallel()
		newFaultedRun(t, required, key, false).refusedBefore()
	})
	for _, x := range storeFaults {
		for how, code := range x.want {
			t.Run(x.name+"/"+strings.ReplaceAll(how, "rollback_", ""), func(t *testing.T) {
				t.Parallel()
				x.try(newFaultedRun(t, how, key, x.admin), how, code, key)
			})
		}
	}
}

func newFaultedRun(t *testing.T, how, key string, asAdmin bool) *faultedRun {
	admin, err := kubernetes.NewForConfig(adminConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	h := &faultedRun{
		world: &world{T: t, client: adminClient(t), namespace: sandboxtest.Namespace(t), dir: t.TempDir()},
		admin: admin, store: sandboxtest.Namespace(t),
	}
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	h.proxy = proxy
	_, err = admin.RbacV1().RoleBindings(h.store).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "store"}, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "store"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: h.store}},
	}, metav1.CreateOptions{})
	h.check(err)
	h.allow("secrets", "leases")
	config, err := clientcmd.LoadFromFile(kubeconfig)
	h.check(err)
	for _, user := range config.AuthInfos {
		if !asAdmin {
			user.Impersonate = h.store
		}
	}
	h.check(clientcmd.WriteToFile(*config, filepath.Join(h.dir, "store.kubeconfig")))
	if err := copySteps(h.dir); err != nil {
		t.Fatal(err)
	}
	h.write("steps/gated.star", "%s", gatedSteps)
	h.write("gated.yaml", "{namespace: %s}\n", h.namespace)
	h.write("config.yaml", `kraken: {kubeconfig_path: %q, rollback_versions_directory: versions, scenario_scripts_directory: steps,
  rollback_store_kubeconfig_path: store.kubeconfig, rollback_store_namespace: %s, rollback_signing_key_path: %s, %s,
  chaos_scenarios: [gated_scenarios: [gated.yaml]]}
`, sandboxtest.Kubeconfig(t), h.store, key, how)
	return h
}

func (h *faultedRun) check(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (x storeFault) try(h *faultedRun, how, code, key string) {
	times := patientTimes
	if x.outlives {
		times = storeFaultTimes
	}
	quick := func(c *exec.Cmd) { c.Env = append(c.Env, "EBB_STORE_TIMES="+times) }
	timeout := "30s" // for a machine with much to do
	if x.away {
		timeout = "5s" // its other cluster has as much, on a machine with much to do
	}
	run := h.begin(quick, timeout)
	x.do(h)
	if x.seen != "" {
		h.await(run, x.seen)
	}
	h.openGate()
	got := h.finish(run)
	if said := h.said(run); !regexp.MustCompile("^("+code+")$").MatchString(got) || !regexp.MustCompile(x.said).MatchString(said) {
		h.Errorf("exit code %s, want %s and that it says %q; it said:\n%s", got, code, x.said, said)
	}
	left := h.objects()
	if x.left != (len(left) > 0) {
		h.Errorf("left in the cluster: %v, want any: %v; it said:\n%s", left, x.left, h.said(run))
	}
	if got == "0" && how != bestEffort || got == "1" {
		if n := h.pendingSecrets(); n > 0 && how == inCluster {
			h.Errorf("%d Secrets are pending after exit code %s", n, got)
		}
		if files := h.pending(); len(files) > 0 {
			h.Errorf("pending after exit code %s: %q", got, files)
		}
	}
	if x.repair == nil {
		return
	}
	// Another machine has the store, the public key and the cluster, and no directory.
	x.repair(h)
	replay := h.startWith(quick, "", "execute-rollback", "--store", "cluster", "--store-kubeconfig", "store.kubeconfig", "--store-namespace", h.store,
		"--public-keys", key+".pub", "--kubeconfig", sandboxtest.Kubeconfig(h.T))
	if got := h.finish(replay); got != "0" {
		h.Errorf("another machine: exit code %s:\n%s", got, h.said(replay))
	}
	if left := h.objects(); len(left) > 0 {
		h.Errorf("left after it: %v", left)
	}
	if n := h.pendingSecrets(); n > 0 {
		h.Errorf("%d Secrets are pending after another machine undid them", n)
	}
}
