package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

// failure is something that keeps a version file from being undone, and what is said of it.
type failure struct {
	user    []string                   // rights of the user that does it all; none: the administrator
	proxied bool                       // the API server is spoken to through a proxy
	hold    string                     // a finalizer of the config map
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
		timeout: 5 * time.Second,
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
			`^look at the file: ebb show-rollback /.*\.star$`, `^if it is right as it is now: ebb mark-rollback --reason TEXT /.*\.star$`,
			`^to restore it all the same: ebb execute-rollback --force-conflict /.*\.star$`, `^to restore something else: ebb edit-rollback /.*\.star$`,
		},
	},
	"bad file": {
		begin: func(w *failing) { w.edit(`(?m)^rollback_content = .*$`, "rollback_content = (") },
		kind:  runner.KindScript, want: runner.Failed, code: "3",
		reason: `^line \d+:\d+: `,
	},
	"mistake in the undo": {
		begin: func(w *failing) { w.edit(`k8s\.delete\(`, "k8s.delte(") },
		kind:  runner.KindScript, want: runner.Failed, code: "3",
		reason: `^line \d+:\d+: module has no \.delte field or method$`,
		hints:  []string{`^did you mean \.delete\?$`},
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
	"replaced": {
		begin: func(w *failing) {
			content := strings.ReplaceAll(w.pending()[w.file], "Undoing step", "Doing nothing about")
			if err := os.WriteFile(w.file, versions.Seal([]byte(content)), 0o700); err != nil {
				w.Fatal(err)
			}
		},
		kind: runner.KindReplaced, want: runner.Refused, code: "4",
		reason: `^it is not the file that ebb wrote under this name: it was replaced$`,
		hints:  []string{`^put the right file back `},
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
	want := said{Reason: err.Error(), Hints: hints(err)}
	if len(want.Hints) != 1 || !strings.HasPrefix(want.Hints[0], "replay them all: ebb execute-rollback --run_uuid ") {
		t.Errorf("got the hints %q", want.Hints)
	}
	w.code = "4"
	w.exec(want)
	if n := len(w.objects()); n != 2 {
		t.Errorf("%d objects are left, want both", n)
	}
}

// failing is a world whose only version file can't be undone.
type failing struct {
	*world
	failure
	proxy      *sandboxtest.Proxy
	kubeconfig string // of what comes after the run
	file       string // the version file
}

// limits are the flags that bound the waiting.
func (f failure) limits() []string {
	return []string{"--timeout", f.timeout.String(), "--file-timeout", f.fileTimeout.String()}
}

func newFailing(t *testing.T, f failure) *failing {
	f.timeout, f.fileTimeout = cmp.Or(f.timeout, time.Minute), cmp.Or(f.fileTimeout, time.Minute)
	w := &failing{failure: f, kubeconfig: sandboxtest.Kubeconfig(t)}
	namespace := sandboxtest.Namespace(t)
	if f.user != nil {
		w.kubeconfig, _ = sandboxtest.User(t, namespace, f.user...)
	}
	if f.proxied {
		w.proxy, w.kubeconfig = sandboxtest.FaultProxy(t, w.kubeconfig)
	}
	w.world = newWorld(t, namespace, w.kubeconfig, "steps_scenarios: [steps.yaml]")
	w.write("steps.yaml", "{namespace: %s, steps: [one], duration: 600, finalizers: [%s]}\n", namespace, f.hold)
	return w
}

// said is what ebb says of a failure.
type said struct {
	Kind    runner.Kind
	Outcome string
	Reason  string
	Hints   []string
}

// text is that without what only programs are told.
func (s said) text() said {
	s.Kind, s.Outcome = "", ""
	return s
}

// run runs the scenario, begins the failure when its change is made, and has the run undo it.
func (w *failing) run() (of said, all string) {
	w.Helper()
	p := w.start("", append([]string{"run", "--config", "config.yaml", "--skip-preflight"}, w.limits()...)...)
	w.await(p, "waiting 10m")
	for w.file = range w.pending() {
	}
	if w.begin != nil {
		w.begin(w)
	}
	switch {
	case w.alive:
		w.Cleanup(func() {
			_ = p.Process.Signal(syscall.SIGINT)
			if code := w.finish(p); code != "130" {
				w.Errorf("run: exit code %s, want 130:\n%s", code, w.said(p))
			}
		})
		return said{}, ""
	case w.begin == nil: // only what comes later fails
		if err := p.Process.Kill(); err != nil {
			w.Fatal(err)
		}
		w.finish(p)
		w.relogin()
		return said{}, ""
	}
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		w.Fatal(err)
	}
	// A file that is refused is not tried by a replay, which says so. After a run, its change is left.
	if code := w.finish(p); code != "3" {
		w.Errorf("run: exit code %s, want 3:\n%s", code, w.said(p))
	}
	all = w.said(p)
	m := regexp.MustCompile(`(?m)Failed to execute rollback version file \S+?: (.*)$`).FindStringSubmatch(all)
	if m == nil {
		w.Fatalf("run: it says of no file why it is not undone:\n%s", all)
	}
	return said{Reason: m[1], Hints: hintsIn(all, `(?m)hint: (.*)$`)}, all
}

func hintsIn(text, pattern string) []string {
	var hints []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		hints = append(hints, m[1])
	}
	return hints
}

// relogin writes the kubeconfig of what comes after the run.
func (w *failing) relogin() {
	w.Helper()
	config, err := clientcmd.LoadFromFile(w.kubeconfig)
	if err != nil {
		w.Fatal(err)
	}
	w.login(config)
	w.kubeconfig = filepath.Join(w.dir, "login.kubeconfig")
	if err := clientcmd.WriteToFile(*config, w.kubeconfig); err != nil {
		w.Fatal(err)
	}
}

// edit changes the version file, as a person would.
func (w *failing) edit(pattern, text string) {
	w.Helper()
	content, re := w.pending()[w.file], regexp.MustCompile(pattern)
	if !re.MatchString(content) {
		w.Fatalf("the version file has nothing that matches %q:\n%s", pattern, content)
	}
	if err := os.WriteFile(w.file, []byte(re.ReplaceAllString(content, text)), 0o700); err != nil {
		w.Fatal(err)
	}
}

// takeOver puts somebody else's config map in the place of the run's.
func (w *failing) takeOver() {
	w.Helper()
	all := w.client.Resource(kinds["configmaps"]).Namespace(w.namespace)
	if err := all.Delete(w.Context(), "one", metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
	theirs := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "one"}}}
	if _, err := all.Create(w.Context(), theirs, metav1.CreateOptions{}); err != nil {
		w.Fatal(err)
	}
}

// execute has execute-rollback meet the failure, and holds what it says, as text and as JSON, against
// what is wanted.
func (w *failing) execute() said {
	w.Helper()
	args := append([]string{"execute-rollback", "--config", "config.yaml", "--kubeconfig", w.kubeconfig}, w.limits()...)
	var out bytes.Buffer
	code, errs := w.ebbTo(&out, append(args, "-o", "json")...)
	var document struct {
		Results []struct {
			File, Kind, Outcome, Error string
			Hints                      []string
		}
	}
	err := json.Unmarshal(out.Bytes(), &document)
	results := document.Results
	if err != nil || len(results) != 1 {
		w.Fatalf("execute-rollback -o json: %v; it said:\n%s%s", err, &out, errs)
	}
	r := results[0]
	if code != w.code || r.Kind != string(w.kind) || r.Outcome != string(w.want) {
		w.Errorf("execute-rollback: got exit code %s, kind %q, outcome %q, want %s, %q, %q:\n%s", code, r.Kind, r.Outcome, w.code, w.kind, w.want, &out)
	}
	if !regexp.MustCompile(w.reason).MatchString(r.Error) {
		w.Errorf("execute-rollback: got the reason %q, want one that matches %q", r.Error, w.reason)
	}
	if !slices.EqualFunc(r.Hints, w.hints, func(got, want string) bool { return regexp.MustCompile(want).MatchString(got) }) {
		w.Errorf("execute-rollback: got the hints %q, want %q", r.Hints, w.hints)
	}
	of := said{Kind: runner.Kind(r.Kind), Outcome: r.Outcome, Reason: r.Error, Hints: r.Hints}

	out.Reset()
	code, errs = w.ebbTo(&out, args...)
	if code != w.code {
		w.Errorf("execute-rollback: exit code %s as text, %s with JSON", code, w.code)
	}
	w.same("execute-rollback as text", w.printed(out.String()), of.text(), out.String()+errs)
	return of
}

// printed reads what is printed of the file.
func (w *failing) printed(out string) said {
	w.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(w.file+": "+string(w.want)) + `: (.*?)(?: \((?:edited|replaced)\))?$`).FindStringSubmatch(out)
	if m == nil {
		return said{Reason: "nothing was printed of " + w.file}
	}
	return said{Reason: m[1], Hints: hintsIn(out, `(?m)^  hint: (.*)$`)}
}

// exec has exec meet the failure. What is refused before the file is read is no result, but an error of exec's.
func (w *failing) exec(want said) {
	w.Helper()
	var out bytes.Buffer
	file, err := filepath.Rel(w.dir, w.file)
	if err != nil {
		w.Fatal(err)
	}
	code, errs := w.ebbTo(&out, append(append([]string{"exec", "--kubeconfig", w.kubeconfig}, w.limits()...), file)...)
	if code != w.code {
		w.Errorf("exec: exit code %s, want %s:\n%s%s", code, w.code, &out, errs)
	}
	got := w.printed(out.String())
	if m := regexp.MustCompile(`(?m)^ebb: (.*)$`).FindStringSubmatch(errs); m != nil {
		got = said{Reason: m[1], Hints: hintsIn(errs, `(?m)^hint: (.*)$`)}
	}
	w.same("exec", got, want.text(), out.String()+errs)
}

// ebbTo is ebb with its results apart from all else that it says.
func (w *failing) ebbTo(out io.Writer, args ...string) (code, errs string) {
	w.Helper()
	p := w.startWith(func(c *exec.Cmd) { c.Stdout = out }, "", args...)
	return w.finish(p), w.said(p)
}

// packages has the packages meet the failure, as another program would use them.
func (w *failing) packages(want said) {
	w.Helper()
	settings := workerSettings{
		Store: storeSettings{Kind: config.StoreDirectory, Directory: filepath.Join(w.dir, "versions")}, Scripts: filepath.Join(w.dir, "steps"), Kubeconfig: w.kubeconfig,
		LogFormat: "text", LogLevel: "error", NoColor: true,
		Times: timeOptions{Timeout: w.timeout, FileTimeout: w.fileTimeout, Grace: runner.DefaultGrace}, TotalPatience: w.timeout,
	}
	for name, replay := range map[string]func() (*runner.Report, error){
		"a replay in a worker":      func() (*runner.Report, error) { return w.supervised(settings, "ebb", false) },
		"a replay without a worker": func() (*runner.Report, error) { return w.supervised(settings, noProgram, true) },
		"a replay of no supervisor's": func() (*runner.Report, error) {
			r, err := buildRunner(settings, &supervisor.Worker{})
			if err != nil {
				return nil, err
			}
			return r.Replay(w.Context(), runner.ReplayOptions{})
		},
	} {
		report, err := replay()
		if err != nil || len(report.Results) != 1 {
			w.Errorf("%s: got %v and %+v, want one result", name, err, report)
			continue
		}
		r := report.Results[0]
		w.same(name, said{runner.KindOf(r.Err), string(r.Outcome), r.Reason(), resultHints(r)}, want, "")
	}
}

// noProgram is no name that a process can be started under.
const noProgram = "ebb\x00"

func (w *failing) supervised(settings workerSettings, program string, here bool) (*runner.Report, error) {
	w.Helper()
	var log bytes.Buffer
	s, err := supervisor.New(buildRunner, settings, supervisor.Options{
		Args: []string{program}, Output: io.Discard, Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if strings.Contains(log.String(), "no other process can be started") != here {
			w.Errorf("replayed in this process: want %t; the supervisor says:\n%s", here, &log)
		}
	}()
	return s.Replay(w.Context(), runner.ReplayOptions{})
}

// passing is what differs from one time to the next: times, and the request that met the failure, as a
// run knows its cluster and a replay asks which it is.
var passing = regexp.MustCompile(`waited \S+|after \d[\d.]*m?s|get \w+ "[\w-]+"(?: in namespace "[\w-]+")?: `)

func (w *failing) same(what string, got, want said, all string) {
	w.Helper()
	for _, s := range []*said{&got, &want} {
		s.Reason = passing.ReplaceAllString(s.Reason, "")
		s.Hints = slices.Clone(s.Hints)
		for i := range s.Hints {
			s.Hints[i] = passing.ReplaceAllString(s.Hints[i], "")
		}
		if len(s.Hints) == 0 {
			s.Hints = nil
		}
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		w.Errorf("%s says something else than execute-rollback -o json (-) does:\n%s%s", what, diff, all)
	}
}
