package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions"
)

// world is what a test runs ebb on: a directory and a namespace. It is judged by what is
// in the cluster and on the disk, never by what ebb says.
type world struct {
	*testing.T
	client    dynamic.Interface
	namespace string
	dir       string // ebb's working directory
}

// newWorld has the directory steps, and a config.yaml that runs the scenarios given, through
// the API server of a kubeconfig.
func newWorld(t *testing.T, namespace, kubeconfig string, scenarios ...string) *world {
	w := &world{T: t, client: adminClient(t), namespace: namespace, dir: t.TempDir()}
	if err := copySteps(w.dir); err != nil {
		t.Fatal(err)
	}
	w.write("config.yaml", `
kraken:
  kubeconfig_path: %q
  rollback_versions_directory: versions
  scenario_scripts_directory: steps
  chaos_scenarios: [%s]
tunings:
  wait_duration: 0
`, kubeconfig, strings.Join(scenarios, ", "))
	return w
}

// autoConfig is a configuration with auto_rollback said: kubeconfig, True or False, and the
// lines of chaos_scenarios.
const autoConfig = `
kraken:
  kubeconfig_path: %q
  rollback_versions_directory: versions
  scenario_scripts_directory: steps
  auto_rollback: %s
  chaos_scenarios:
%stunings:
  wait_duration: 0
`

// newSteps is a world whose only scenario makes config maps.
func newSteps(t *testing.T, kubeconfig string, names ...string) *world {
	w := newWorld(t, sandboxtest.Namespace(t), kubeconfig, "steps_scenarios: [steps.yaml]")
	w.write("steps.yaml", "{namespace: %s, steps: [%s]}\n", w.namespace, strings.Join(names, ", "))
	return w
}

func adminConfig(t *testing.T) *rest.Config {
	config, err := clientcmd.BuildConfigFromFlags("", sandboxtest.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

func adminClient(t *testing.T) dynamic.Interface {
	client, err := dynamic.NewForConfig(adminConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (w *world) write(name, format string, args ...any) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), fmt.Appendf(nil, format, args...), 0o600); err != nil {
		w.Fatal(err)
	}
}

// running is an ebb in the background.
type running struct {
	*exec.Cmd
	out   *os.File // all that it says
	ended chan struct{}
	err   error // of its end
}

// start starts ebb with points armed, as EBB_KILL_AT has them.
func (w *world) start(triggers string, args ...string) *running {
	w.Helper()
	return w.startWith(nil, triggers, args...)
}

// startWith has set change the command before.
func (w *world) startWith(set func(*exec.Cmd), triggers string, args ...string) *running {
	w.Helper()
	path, err := exec.LookPath("ebb")
	if err != nil {
		w.Fatal(err)
	}
	out, err := os.CreateTemp(w.dir, "said-")
	if err != nil {
		w.Fatal(err)
	}
	p := &running{Cmd: exec.Command(path, args...), out: out, ended: make(chan struct{})}
	p.Dir, p.Stdout, p.Stderr = w.dir, out, out
	p.Env = append(os.Environ(), "EBB_KILL_AT="+triggers)
	if set != nil {
		set(p.Cmd)
	}
	if err := p.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		// It is over, unless the test failed before.
		if err := p.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			w.Error(err)
		}
		<-p.ended
		if err := out.Close(); err != nil {
			w.Error(err)
		}
	})
	go func() {
		p.err = p.Wait()
		close(p.ended)
	}()
	return p
}

// said returns what a process has said so far.
func (w *world) said(p *running) string {
	content, err := os.ReadFile(p.out.Name())
	if err != nil {
		w.Fatal(err)
	}
	return string(content)
}

// await waits until a process says something.
func (w *world) await(p *running, pattern string) {
	w.Helper()
	re := regexp.MustCompile(pattern)
	over := false
	if !eventually(func() bool {
		select {
		case <-p.ended:
			over = true
		default:
		}
		return re.MatchString(w.said(p)) || over
	}) || over && !re.MatchString(w.said(p)) {
		w.Fatalf("%q never said %q; it said:\n%s", p.Args, pattern, w.said(p))
	}
}

// finish waits for the end of a process and returns its exit code, or "killed".
func (w *world) finish(p *running) string {
	<-p.ended
	return codeOf(p.err)
}

// ebb runs a command to its end.
func (w *world) ebb(triggers string, args ...string) (code, said string) {
	w.Helper()
	p := w.start(triggers, args...)
	code = w.finish(p)
	return code, w.said(p)
}

// pending reads the pending version files, without any help of ebb's.
func (w *world) pending() map[string]string {
	w.Helper()
	names, err := filepath.Glob(filepath.Join(w.dir, "versions", "*", "*.star"))
	if err != nil {
		w.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			w.Fatal(err)
		}
		files[name] = string(content)
	}
	return files
}

var refPattern = regexp.MustCompile(`\bref\("([^"]+)", "([^"]+)", "([^"]+)"\)`)

// refs returns what a version file names, as object's String has it.
func refs(content string) []string {
	var found []string
	for _, m := range refPattern.FindAllStringSubmatch(content, -1) {
		found = append(found, object{m[1], m[2], m[3]}.String())
	}
	return found
}

type object struct{ kind, name, namespace string }

func (o object) String() string { return o.kind + " " + o.namespace + "/" + o.name }

// objects lists what runs have made in a namespace, or in all.
func objects(t *testing.T, client dynamic.Interface, namespace string) []object {
	t.Helper()
	var found []object
	for _, kind := range []string{"pods", "configmaps", "networkpolicies"} {
		list, err := client.Resource(kinds[kind]).Namespace(namespace).
			List(context.Background(), metav1.ListOptions{LabelSelector: "ebb.dev/run-uuid"})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range list.Items {
			found = append(found, object{item.GetKind(), item.GetName(), item.GetNamespace()})
		}
	}
	return found
}

// addApplication makes a pod with the label app=foo, if there is none yet: an outage needs somebody to hit.
func addApplication(w *world) {
	w.Helper()
	_, err := w.client.Resource(kinds["pods"]).Namespace(w.namespace).Create(context.Background(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "foo-1", "labels": map[string]any{"app": "foo"}},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "foo", "image": "example.com/foo:1"}}},
	}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		w.Fatal(err)
	}
}

func (w *world) objects() []object {
	w.Helper()
	return objects(w.T, w.client, w.namespace)
}

// checkNamed checks that all that is changed is named by a pending version file that can be
// replayed. That is what has to hold at every moment.
func (w *world) checkNamed() {
	w.Helper()
	named, files := map[string]bool{}, w.pending()
	r, err := runner.New(versions.NewMemory(), runner.Options{})
	if err != nil {
		w.Fatal(err)
	}
	for file, content := range files {
		for _, ref := range refs(content) {
			named[ref] = true
		}
		if errs, _ := r.Diagnose(context.Background(), file, []byte(content)); len(errs) > 0 {
			w.Errorf("%s can't be replayed: %v", file, errs)
		}
	}
	for _, o := range w.objects() {
		if !named[o.String()] {
			w.Errorf("%s is in the cluster, and no pending version file names it; the files: %q", o, files)
		}
	}
}

// checkRestored checks that nothing is left, in the cluster and to be replayed.
func (w *world) checkRestored() {
	w.Helper()
	if left := w.objects(); len(left) > 0 {
		w.Errorf("left in the cluster: %s", left)
	}
	if files := w.pending(); len(files) > 0 {
		w.Errorf("still pending: %q", files)
	}
}

// checkEnded checks that the exit code of a process that was interrupted is the truth.
func (w *world) checkEnded(code, said string) {
	w.Helper()
	switch code {
	case "0", "130":
		w.checkRestored()
	case "3", "killed":
		if code == "3" && len(w.pending()) == 0 {
			w.Errorf("exit code 3, and nothing is pending; it said:\n%s", said)
		}
		w.checkNamed()
	default:
		w.Errorf("got exit code %s; it said:\n%s", code, said)
	}
}

// replay replays all that is pending, and checks that nothing is left.
func (w *world) replay() {
	w.Helper()
	if code, said := w.ebb("", "execute-rollback", "--config", "config.yaml"); code != "0" {
		w.Errorf("execute-rollback: exit code %s:\n%s", code, said)
	}
	w.checkRestored()
}

// journalLines counts what was flushed, attempted and undone so far.
func (w *world) journalLines() int {
	journal, err := os.ReadFile(filepath.Join(w.dir, "versions", "journal.jsonl"))
	if err != nil {
		return -1 // not there yet
	}
	return bytes.Count(journal, []byte("\n"))
}

// free takes the finalizers of a config map away, as their controller would.
func (w *world) free(name string) {
	w.Helper()
	_, err := w.client.Resource(kinds["configmaps"]).Namespace(w.namespace).
		Patch(context.Background(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		w.Error(err)
	}
}
