package builtins_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func TestChangeNeedsRef(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	h.wantError(t, `def main(): k8s.create(config_map("a"))`, "has no rollback that was flushed after its last change")
	h.wantError(t, "def main():\n    record_undo(\"b\")\n    k8s.create(config_map(\"a\"))", `ref("ConfigMap", "a", "`)
	h.recorder.err = errors.New("disk full")
	h.wantError(t, "def main():\n    attempt(record_undo, \"a\")\n", "disk full")
	h.recorder.err = nil
	if h.exists(t, "a") || h.set != 0 {
		t.Fatalf("something was sent: exists %v, %d marks", h.exists(t, "a"), h.set)
	}
	h.mustRun(t, "def main():\n    record_undo(\"a\")\n    k8s.create(config_map(\"a\"))")
	if !h.exists(t, "a") {
		t.Fatal("a was not created")
	}
	// The rollback held the state before the first change, so it can't stand for a second.
	h.wantError(t, `def main(): k8s.patch("ConfigMap", "a", {"data": {"x": "y"}}, NS)`, "has no rollback")
	h.mustRun(t, "def main():\n    record_undo(\"a\")\n    k8s.patch(\"ConfigMap\", \"a\", {\"data\": {\"x\": \"y\"}}, NS)")
	h.wantError(t, `def main(): k8s.delete("ConfigMap", "a", NS)`, "has no rollback")
	h.wantError(t, `def main(): k8s.apply(config_map("a"))`, "has no rollback")
	// undo takes the files away, and with them what they granted.
	h.wantError(t, "def main():\n    record_undo(\"c\")\n    undo()\n    k8s.create(config_map(\"c\"))", "has no rollback")
	if h.recorder.undone != 1 {
		t.Fatalf("undo was called %d times, want 1", h.recorder.undone)
	}
}

func TestRefusedCreateKeepsRef(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	h.create(t, "a", nil)
	// A definite no changed nothing: the same rollback serves another try.
	h.mustRun(t, `
def main():
    record_undo("a", "b")
    first = attempt(k8s.create, config_map("a"))
    if first.ok or first.error.reason != "AlreadyExists":
        fail("got", first)
    second = attempt(k8s.create, config_map("a"))
    if second.error.reason != "AlreadyExists":
        fail("got", second)
    k8s.create(config_map("b"))
`)
	if len(h.marks) != 0 || h.set != 3 {
		t.Fatalf("marks left %v, %d were set, want none left of 3", h.marks, h.set)
	}
}

func TestCreateIsOurs(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	v := h.mustRun(t, `
def main():
    refs = [ref("ConfigMap", "a", NS), ref("Job", "b", NS), ref("CronJob", "c", NS)]
    set_rollback_callable(undo_it, RollbackContent(), verify = undo_it, undoes = refs)
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}}
    made = k8s.create(config_map("a", mine = "yes"))
    job = k8s.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "b", "namespace": NS}, "spec": {"template": template}})
    cron = k8s.create({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c", "namespace": NS},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}},
    })
    metas = [made["metadata"], job["metadata"], job["spec"]["template"]["metadata"], cron["metadata"],
             cron["spec"]["jobTemplate"]["metadata"], cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"]]
    return [(m["labels"].get("ebb.dev/run-uuid"), m["labels"].get("ebb.dev/scenario-type")) for m in metas] + [made["metadata"]["labels"]["mine"]]
`)
	want := `[` + strings.Repeat(`("run-1", "test_scenarios"), `, 6) + `"yes"]`
	if v.String() != want {
		t.Fatalf("got %s, want %s", v, want)
	}
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	for object, want := range map[string]string{
		`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-", "namespace": NS}}`: "generateName can't be used",
		`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": NS}}`:                       `"metadata.name" must be given`,
		`{"kind": "ConfigMap", "metadata": {"name": "a", "namespace": NS}}`:                              `"apiVersion" and "kind"`,
		`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}`:                           "needs a namespace",
		`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": NS}}`:          "has no namespace",
		`{"apiVersion": "v1", "kind": "Nonsense", "metadata": {"name": "a", "namespace": NS}}`:           "Nonsense",
		`["no dict"]`: "want a dict",
		`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": NS}, "data": {1: 2}}`:  "want a string",
		`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": NS}, "data": undo_it}`: "has no JSON form",
	} {
		h.wantError(t, "def main(): k8s.create("+object+")", want)
	}
	if h.set != 0 {
		t.Fatalf("%d requests were marked, want none", h.set)
	}
}

func TestDeleteOnlyOurs(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Undo, sandboxtest.Kubeconfig(t))
	h.create(t, "foreign", nil)
	h.create(t, "other-run", map[string]any{builtins.LabelRunUUID: "run-2"})
	h.create(t, "ours", map[string]any{builtins.LabelRunUUID: "run-1"})
	uid := h.create(t, "known", nil)

	err := h.wantError(t, `def main(): k8s.delete("ConfigMap", "foreign", NS, owned = True)`, "is not ours and was left alone")
	var conflict *builtins.ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("got %T, want a conflict", err)
	}
	h.wantError(t, `def main(): k8s.delete("ConfigMap", "other-run", NS, owned = True)`, `is "run-2", not "run-1"`)
	h.wantError(t, `def main(): k8s.delete("ConfigMap", "known", NS, uid = "another")`, "is another one than before")
	if v := h.mustRun(t, `def main(): return k8s.delete("ConfigMap", "ours", NS, owned = True)`); v != starlark.True {
		t.Fatalf("got %s, want True", v)
	}
	h.mustRun(t, `def main(): k8s.delete("ConfigMap", "known", NS, uid = "`+uid+`")`)
	if v := h.mustRun(t, `def main(): return k8s.delete("ConfigMap", "ours", NS, owned = True, ignore_not_found = True)`); v != starlark.False {
		t.Fatalf("got %s, want False", v)
	}
	h.wantError(t, `def main(): k8s.delete("ConfigMap", "ours", NS)`, "not found")
	for name, want := range map[string]bool{"foreign": true, "other-run": true, "ours": false, "known": false} {
		if got := h.exists(t, name); got != want {
			t.Errorf("%s exists: %v, want %v", name, got, want)
		}
	}
	if h.Changes() != 2 {
		t.Errorf("%d changes counted, want 2", h.Changes())
	}
	// What the undo makes for itself and removes again is no change: nothing had to be restored.
	h.mustRun(t, `def main():
    k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "passing", "namespace": NS}})
    k8s.delete("ConfigMap", "passing", NS, owned = True)`)
	if h.Changes() != 2 {
		t.Errorf("%d changes counted with one that was taken back, want 2", h.Changes())
	}
	// A hand-written file names no run: what some run made may go, what nobody's run made may not.
	h.RunUUID = ""
	h.mustRun(t, `def main(): k8s.delete("ConfigMap", "other-run", NS, owned = True)`)
	h.wantError(t, `def main(): k8s.delete("ConfigMap", "foreign", NS, owned = True)`, "does not carry the label")
}

func TestModes(t *testing.T) {
	t.Parallel()
	kubeconfig := sandboxtest.Kubeconfig(t)
	changes := []string{
		`k8s.create(config_map("new"))`,
		`k8s.apply(config_map("new"))`,
		`k8s.patch("ConfigMap", "there", {"data": {"a": "b"}}, NS)`,
		`k8s.delete("ConfigMap", "there", NS)`,
	}
	t.Run("verify only reads", func(t *testing.T) {
		h := newHost(t, builtins.Verify, kubeconfig)
		h.create(t, "there", nil)
		for _, change := range changes {
			h.wantError(t, "def main(): "+change, "it only reads")
		}
		h.wantError(t, `def main(): record_undo("there")`, "only run changes things")
		h.mustRun(t, `def main(): k8s.get("ConfigMap", "there", NS)["metadata"]`)
	})
	t.Run("nothing is in reach while loading", func(t *testing.T) {
		h := newHost(t, builtins.Init, kubeconfig)
		for _, call := range append(changes, `k8s.get("ConfigMap", "there", NS)`, `k8s.list("Pod")`, `time.sleep(1)`, `record_undo("a")`, `undo()`) {
			h.wantError(t, "def main(): "+call, "while the module loads")
		}
	})
	t.Run("a plan changes nothing", func(t *testing.T) {
		h := newHost(t, builtins.Plan, kubeconfig)
		h.create(t, "there", nil)
		h.mustRun(t, "def main():\n    "+strings.Join(changes, "\n    ")+"\n    time.sleep(3600)\n    k8s.delete(\"ConfigMap\", \"gone\", NS, ignore_not_found = True)")
		want := []string{
			fmt.Sprintf("create ConfigMap %q in namespace %q", "new", h.namespace),
			fmt.Sprintf("apply ConfigMap %q in namespace %q", "new", h.namespace),
			fmt.Sprintf("patch ConfigMap %q in namespace %q: data.a = b", "there", h.namespace),
			fmt.Sprintf("delete ConfigMap %q in namespace %q", "there", h.namespace),
		}
		if got := texts(h.Planned()); !slices.Equal(got, want) {
			t.Errorf("got actions %q, want %q", got, want)
		}
		if !h.exists(t, "there") || h.exists(t, "new") || h.set != 0 || h.Changes() != 0 {
			t.Errorf("a plan changed something: %d marks, %d changes", h.set, h.Changes())
		}
	})
}

// A request whose answer was lost may still land: its mark has to stay, or a
// replay would believe that what it made is absent.
func TestMarkStaysWhileOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	h := newHost(t, builtins.Run, kubeconfig)
	proxy.Handle(func(r *http.Request) sandboxtest.Fault {
		if strings.Contains(r.URL.Path, "configmaps") {
			return sandboxtest.Refuse(http.StatusInternalServerError, 0)
		}
		return nil
	})
	_, err := h.run(t, "def main():\n    record_undo(\"a\")\n    k8s.create(config_map(\"a\"))")
	var unknown *kube.UnknownOutcomeError
	if !errors.As(err, &unknown) {
		t.Fatalf("got %v, want an unknown outcome", err)
	}
	if h.marks["create ConfigMap a"] != 1 {
		t.Fatalf("marks are %v, want the create's to be left", h.marks)
	}
}

// The first look of a replay may come before the create of the killed process does.
func TestAbsenceIsCheckedAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Undo, sandboxtest.Kubeconfig(t))
	r := builtins.Ref{Kind: "ConfigMap", Name: "late", Namespace: h.namespace}
	h.Unsettled = []builtins.Unsettled{{Verb: "create", Ref: r, Until: time.Now().Add(3 * time.Second)}}
	created := make(chan error, 1)
	waiting := make(chan struct{})
	h.Progress = func(time.Duration, string) func() { close(waiting); return func() {} }
	go func() {
		<-waiting // the builtin has looked, and found nothing
		_, err := h.client.Create(context.Background(), configMaps, h.namespace, kube.Object{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "late", "namespace": h.namespace, "labels": map[string]any{builtins.LabelRunUUID: "run-1"}},
		})
		created <- err
	}()
	v := h.mustRun(t, `def main(): return k8s.delete("ConfigMap", "late", NS, owned = True, ignore_not_found = True)`)
	if err := <-created; err != nil {
		t.Fatal(err)
	}
	if v != starlark.True || h.exists(t, "late") {
		t.Fatalf("delete returned %s, and it exists: %v", v, h.exists(t, "late"))
	}
}

// What is there is deleted at once. Only then does its name become free for another
// attempt to create it, which may have been under way all the time.
func TestPresenceNeedsNoWait(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Undo, sandboxtest.Kubeconfig(t))
	ours := map[string]any{builtins.LabelRunUUID: "run-1"}
	h.create(t, "a", ours)
	h.Unsettled = []builtins.Unsettled{{Verb: "create", Ref: builtins.Ref{Kind: "ConfigMap", Name: "a", Namespace: h.namespace}, Until: time.Now().Add(2 * time.Second)}}
	waits := 0
	h.Progress = func(time.Duration, string) func() {
		if waits++; waits == 1 {
			if h.exists(t, "a") {
				t.Error("it waited before it deleted")
			}
			h.create(t, "a", ours)
		}
		return func() {}
	}
	h.mustRun(t, `def main(): k8s.delete("ConfigMap", "a", NS, owned = True)`)
	if waits != 1 || h.exists(t, "a") {
		t.Errorf("waited %d times, want 1; what came late is there: %v", waits, h.exists(t, "a"))
	}
}

// A create that was answered at the second attempt: the first may land when all is undone.
func TestMarkStaysAfterLostAttempt(t *testing.T) {
	t.Parallel()
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	h := newHost(t, builtins.Run, kubeconfig)
	release := make(chan struct{})
	proxy.Script(http.MethodPost, sandboxtest.Late(release), sandboxtest.Pass)
	h.mustRun(t, "def main():\n    record_undo(\"a\")\n    k8s.create(config_map(\"a\"))")
	close(release)
	if h.marks["create ConfigMap a"] != 1 {
		t.Fatalf("marks are %v, want the create's to be left", h.marks)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	h.create(t, "a", map[string]any{"group": "g"})
	h.mustRun(t, `
def main():
    if k8s.wait("ConfigMap", "a", NS, until = lambda o: o != None)["metadata"]["name"] != "a":
        fail("another object")
    if len(k8s.wait("ConfigMap", namespace = NS, label_selector = "group=g", until = lambda l: len(l) == 1)) != 1:
        fail("another list")
    late = attempt(k8s.wait, "ConfigMap", "b", NS, until = lambda o: o != None, timeout = 0.2)
    if late.ok or late.error.reason != "Timeout":
        fail("got", late)
`)
	h.wantError(t, `def main(): k8s.wait("ConfigMap", namespace = NS, until = lambda o: True)`, "exactly one of name and label_selector")
	ctx, cancel := context.WithCancel(t.Context())
	h.Progress = func(time.Duration, string) func() { cancel(); return func() {} }
	e := engine.New(engine.Options{Predeclared: builtins.Predeclared(), Bind: builtins.Bind})
	m, err := e.Load(t.Context(), "t.star", []byte(`def main(): k8s.wait("ConfigMap", "b", "`+h.namespace+`", until = lambda o: o != None, timeout = 3600)`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Call(builtins.WithSession(ctx, h.Session), m.Get("main")); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's error", err)
	}
}

func TestParallelCreates(t *testing.T) {
	t.Parallel()
	h := newHost(t, builtins.Run, sandboxtest.Kubeconfig(t))
	h.mustRun(t, `
def main():
    names = ["n%d" % i for i in range(30)]
    record_undo(*names)
    parallel(k8s.create, [config_map(name) for name in names])
    if len(k8s.list("ConfigMap", NS)) != 31:
        fail("not all were created")
`)
	if h.set != 30 || len(h.marks) != 0 || h.Changes() != 30 {
		t.Fatalf("%d marks set, left %v, %d changes", h.set, h.marks, h.Changes())
	}
}

// B2: what is optional is asked for once, and None when it can't be had.
func TestOptionalReads(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	const script = `
def main():
    return [
        k8s.list("NodeMetrics", api_version = "metrics.k8s.io/v1beta1", optional = True),
        k8s.list("ConfigMap", NS, optional = True),
        k8s.logs("nobody", NS, optional = True),
    ]
`
	h := newHost(t, builtins.Run, file)
	h.create(t, "one", nil) // the one that every namespace gets may come later
	if got := h.mustRun(t, script).String(); !strings.HasPrefix(got, "[None, [{") || !strings.HasSuffix(got, "], None]") {
		t.Errorf("got %s, want None for metrics and logs, and the config maps", got)
	}
	for _, wrong := range sandboxtest.WrongAnswers() {
		if wrong.Name == "200 in text" { // which may well be a log
			continue
		}
		h := newHost(t, builtins.Run, file)
		h.create(t, "one", nil)
		proxy.Handle(func(*http.Request) sandboxtest.Fault { return wrong.Fault })
		before := len(proxy.Requests())
		got := h.mustRun(t, script).String()
		asked := len(proxy.Requests()) - before
		proxy.Handle(nil)
		// Some are about one name, and a list has none.
		if asked > 12 || got != "[None, None, None]" && wrong.Name != "another name" {
			t.Errorf("%s: asked %d times, got %s", wrong.Name, asked, got)
		}
	}
}
