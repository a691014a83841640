package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
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

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
)

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
	if f.disk != "" {
		w.mount()
	}
	return w
}

// mount gives the versions directory a disk of its own.
func (w *failing) mount() {
	w.Helper()
	dir := filepath.Join(w.dir, "versions")
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=0700,size="+w.disk, "none", dir).CombinedOutput(); err != nil {
		w.Skipf("NOT TESTED: WHO RUNS THE TESTS MAY NOT MOUNT A DISK: %v: %s", err, out)
	}
	w.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			w.Errorf("umount: %v: %s", err, out)
		}
	})
}

// readOnly has the disk of the versions directory be read only from now on.
func (w *failing) readOnly() {
	w.Helper()
	if out, err := exec.Command("mount", "-o", "remount,ro", filepath.Join(w.dir, "versions")).CombinedOutput(); err != nil {
		w.Fatalf("mount: %v: %s", err, out)
	}
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

// passing is what differs from one time to the next: times, the flags of the command, and the request that met the failure, as a
// run knows its cluster and a replay asks which it is.
var passing = regexp.MustCompile(`\.tmp-\w+| --(?:config|kubeconfig) \S+|\d{19}[-_][\w-]+|waited \S+|after \d[\d.]*m?s|get \w+ "[\w-]+"(?: in namespace "[\w-]+")?: `)

func (w *failing) same(what string, got, want said, all string) {
	w.Helper()
	for _, s := range []*said{&got, &want} {
		s.Reason = passing.ReplaceAllString(strings.ReplaceAll(s.Reason, w.dir+"/", ""), "")
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
