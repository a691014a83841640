package main

import (
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// failure is something that keeps a version file from being undone, and what is said of it.
type failure struct {
	user    []string                   // rights of the user that does it all; none: the administrator
	proxied bool                       // the API server is spoken to through a proxy
	hold    string                     // a finalizer of the config map
	disk    string                     // the size of a disk that the versions directory is on; "": it has none of its own
	begin   func(*failing)             // makes it, once the change is made and the run waits
	login   func(*clientcmdapi.Config) // makes it, in the kubeconfig of what comes after the run
	alive   bool                       // the run goes on all the time

	timeout, fileTimeout time.Duration // short where only they end it; 0: longer than under any load

	kind   runner.Kind
	want   runner.Outcome
	code   string   // what ebb exits with
	reason string   // a pattern
	hints  []string // patterns, one for each
}

var failures = map[string]failure{
	"no rights": {
		user: []string{"get,list,create:configmaps"}, begin: func(*failing) {},
		kind: runner.KindForbidden, want: runner.Failed, code: "3",
		reason: `^line \d+:\d+: k8s.delete: user "alice-\w+" may not delete configmaps in namespace "test-\w+" \(403\)$`,
	},
	"wrong cluster": {
		begin: func(w *failing) {
			w.edit(`cluster_uid = "[0-9a-f-]{36}"`, `cluster_uid = "11111111-2222-3333-4444-555555555555"`)
		},
		kind: runner.KindWrongCluster, want: runner.Refused, code: "4",
		reason: `this is another cluster: https://\S+ has the UID \S+, the version file is for 11111111-2222-3333-4444-555555555555$`,
		hints:  []string{`^choose the right one with --kubeconfig and --context, or use --force`},
	},
	"API server down": {
		proxied: true,
		begin: func(w *failing) {
			if err := w.proxy.Stop(); err != nil {
				w.Fatal(err)
			}
		},
		timeout: time.Second,
		kind:    runner.KindUnavailable, want: runner.Failed, code: "3",
		reason: `API server https://\S+ does not answer \(.*\), waited `,
		hints:  []string{`^give it longer with --timeout$`},
	},
	"credentials refused": {
		proxied: true,
		begin: func(w *failing) {
			w.proxy.Handle(func(*http.Request) sandboxtest.Fault { return unauthorized })
		},
		kind: runner.KindUnauthorized, want: runner.Failed, code: "3",
		reason: `the credentials in the kubeconfig were refused \(401\)$`,
		hints:  []string{`^log in again: `},
	},
	"no credentials": {
		login: func(c *clientcmdapi.Config) {
			for name := range c.AuthInfos {
				c.AuthInfos[name] = &clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
					APIVersion: "client.authentication.k8s.io/v1", Command: "false", InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
				}}
			}
		},
		kind: runner.KindCredentials, want: runner.Failed, code: "3",
		reason: `getting credentials: exec: executable false failed with exit code 1$`,
		hints:  []string{`^run the command in the kubeconfig's users section: `},
	},
	"certificate of somebody else": {
		login: func(c *clientcmdapi.Config) {
			for _, cluster := range c.Clusters { // the system's authorities did not sign the API server's
				cluster.CertificateAuthority, cluster.CertificateAuthorityData = "", nil
			}
		},
		kind: runner.KindUntrusted, want: runner.Failed, code: "3",
		reason: `certificate`, hints: []string{`certificate`},
	},
	"no such context": {
		login: func(c *clientcmdapi.Config) { c.CurrentContext = "nowhere" },
		kind:  runner.KindConfiguration, want: runner.Failed, code: "64",
		reason: `nowhere`, hints: nil,
	},
	"conflict": {
		begin: (*failing).takeOver,
		kind:  runner.KindConflict, want: runner.Conflict, code: "3",
		reason: `ConfigMap "one" in namespace "test-\w+" is not ours and was left alone: it does not carry the label ebb.dev/run-uuid`,
		hints: []string{
			`^look at the file: ebb show-rollback --config config\.yaml --kubeconfig \S+ /.*\.star$`, `^if it is right as it is now: ebb mark-rollback --config config\.yaml --kubeconfig \S+ --reason TEXT /.*\.star$`,
			`^to restore it all the same: ebb execute-rollback --config config\.yaml --kubeconfig \S+ --force-conflict /.*\.star$`, `^to restore something else: ebb edit-rollback --config config\.yaml --kubeconfig \S+ /.*\.star$`,
		},
	},
	"bad file": {
		begin: func(w *failing) { w.edit(`(?m)^rollback_content = .*$`, "rollback_content = (") },
		kind:  runner.KindScript, want: runner.Failed, code: "3",
		reason: `^line \d+:\d+: `,
		hints:  []string{`^fix it: ebb edit-rollback --config config\.yaml --kubeconfig \S+ /.*\.star$`},
	},
	"mistake in the undo": {
		begin: func(w *failing) { w.edit(`k8s\.delete\(`, "k8s.delte(") },
		kind:  runner.KindScript, want: runner.Failed, code: "3",
		reason: `^line \d+:\d+: module has no \.delte field or method$`,
		hints:  []string{`^did you mean \.delete\?$`, `^fix it: ebb edit-rollback --config config\.yaml --kubeconfig \S+ /.*\.star$`},
	},
	"the undo gives up": {
		begin: func(w *failing) { w.edit(`log\.info\("Undoing step " \+ name\)`, `fail("no luck with " + name)`) },
		kind:  runner.KindFailed, want: runner.Failed, code: "3",
		reason: `no luck with one$`,
	},
	"held by a finalizer": {
		hold: "example.com/hold", begin: func(*failing) {}, fileTimeout: 3 * time.Second,
		kind: runner.KindFailed, want: runner.Failed, code: "3", // its own verify says so
		reason: `^not verified after \S+: line \d+:\d+: config map one still exists$`,
	},
	"in use": {
		alive: true,
		kind:  runner.KindLocked, want: runner.Skipped, code: "4",
		reason: `^execution "\d+-[0-9a-f-]{36}" is in use by PID \d+ on host ".*" since \S+$`,
		hints:  []string{`^wait for it to end \(it is ".*"\), or interrupt it, .*: kill -INT \d+$`},
	},
	"others can write to it": {
		begin: func(w *failing) {
			if err := os.Chmod(w.file, 0o722); err != nil {
				w.Fatal(err)
			}
		},
		kind: runner.KindInsecure, want: runner.Refused, code: "4",
		reason: `\.star" is a file that others can write to \(mode 0722\)$`,
		hints:  []string{`^\(umask 077 && cp `},
	},
	"disk turned read-only": {
		disk: "1m", begin: (*failing).readOnly,
		kind: runner.KindFile, want: runner.StillPending, code: "3",
		reason: `^everything is undone, but ".*\.star" could not be renamed or removed: .*read-only file system$`,
	},
	"replaced": {
		begin: func(w *failing) {
			content := strings.ReplaceAll(w.pending()[w.file], "Undoing step", "Doing nothing about")
			if err := os.WriteFile(w.file, versions.Seal([]byte(content)), 0o700); err != nil {
				w.Fatal(err)
			}
		},
		kind: runner.KindReplaced, want: runner.Refused, code: "4",
		reason: `^it is not the file that ebb wrote under this name: it was replaced$`,
		hints:  []string{`^put the right file back, `},
	},
}

// unauthorized is what an API server answers to credentials that it does not take.
func unauthorized(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`)
}

// TestFailures has each failure met by the undo of a run, by execute-rollback and by exec, and by a replay in
// a worker, in a process that can start none, and without any supervisor: all say the same of it.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, f := range failures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFailing(t, f)
			inRun, said := w.run()
			want := w.execute()
			if f.begin != nil {
				w.same("run", inRun, want.text(), said)
			}
			w.exec(want)
			w.packages(want)
			if f.kind == runner.KindScript {
				w.check()
			}
			if _, pending := w.pending()[w.file]; !pending {
				t.Errorf("%s is not pending any more", w.file)
			}
		})
	}
}

// TestNewerPending: exec refuses a file while a newer one of its execution is pending, and the packages
// say the same.
func TestNewerPending(t *testing.T) {
	t.Parallel()
	w := &failing{failure: failure{timeout: time.Minute, fileTimeout: time.Minute}, kubeconfig: sandboxtest.Kubeconfig(t)}
	w.world = newSteps(t, w.kubeconfig, "one", "two")
	if code, said := w.ebb("kill@after-change:2", "run", "--config", "config.yaml"); code != "killed" {
		t.Fatalf("run: exit code %s, want killed:\n%s", code, said)
	}
	w.file = slices.Min(slices.Collect(maps.Keys(w.pending())))
	store, file, err := versions.Locate(w.file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := runner.New(store, runner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ReplayFile(t.Context(), file, runner.ReplayOptions{})
	if kind := runner.KindOf(err); kind != runner.KindNewerPending {
		t.Fatalf("got %v of kind %q, want %q", err, kind, runner.KindNewerPending)
	}
	want := said{Reason: err.Error(), Hints: bareCaller.hints(err)}
	if len(want.Hints) != 1 || !strings.HasPrefix(want.Hints[0], "replay them all: ebb execute-rollback --run_uuid ") {
		t.Errorf("got the hints %q", want.Hints)
	}
	w.code = "4"
	w.exec(want)
	if n := len(w.objects()); n != 2 {
		t.Errorf("%d objects are left, want both", n)
	}
}
