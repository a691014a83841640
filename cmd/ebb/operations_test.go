package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// deployed is what docs/operations.md says to do, done: its commands, and the pods of deploy/ in
// containers, with the accounts, the volumes and the arguments that the manifests give them.
type deployed struct {
	*world
	admin   *kubernetes.Clientset
	config  *rest.Config
	binary  string
	left    []string // commands of the document that were not run yet
	started int
}

// deployTimes are shorter than a cluster's: what a dead runner left is taken over after 6 s.
const deployTimes = "EBB_STORE_TIMES=6s,500ms,4s,200ms"

// operations does what docs/operations.md says.
func operations(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NO POD WAS RUN: ONLY ROOT CAN")
	}
	if !sandboxtest.Install("runc", "runc") {
		t.Skip("NO POD WAS RUN: THE MACHINE HAS NO runc, AND IT CAN'T BE INSTALLED")
	}
	d := &deployed{
		world:  &world{T: t, client: adminClient(t), namespace: sandboxtest.Namespace(t), dir: t.TempDir()},
		config: adminConfig(t), binary: filepath.Join(t.TempDir(), "ebb"), left: documented(t),
	}
	var err error
	d.admin, err = kubernetes.NewForConfig(d.config)
	d.check(err)
	d.buildStatic()
	addApplication(d.world)

	d.run("ebb keys new key.pem")
	d.scenario(600)
	d.run("kubectl -n ebb-run create secret generic ebb-signing-key --from-file=signing-key.pem=key.pem")
	d.run("kubectl -n ebb create configmap ebb-public-keys --from-file=key.pem.pub")
	d.run("kubectl -n ebb-run create configmap ebb-config --from-file=config.yaml --from-file=scenario.yaml")
	d.did("kubectl apply -k deploy") // by TestDeploy
	if version, ended := d.pod("run.yaml", "ebb-run", "version"); !started(t, version.container, version.output, <-ended) {
		return
	}

	d.dies()
	d.did("kubectl apply -f deploy/run.yaml")
	if out := d.run("ebb list-rollback --store cluster --kubeconfig KUBECONFIG"); !strings.Contains(out, "application_outages_scenarios_") {
		t.Errorf("the runner was killed, and nothing is listed:\n%s", out)
	}
	watch, ended := d.pod("watch.yaml", "ebb-watch")
	d.restored("the watch")
	watch.kill(t, "TERM")
	d.ends(watch, ended)

	d.dies()
	replay, ended := d.pod("replay.yaml", "ebb-replay")
	d.ends(replay, ended)
	d.restored("the Job that replays")

	d.dies()
	d.run("ebb execute-rollback --store cluster --kubeconfig KUBECONFIG --public-keys key.pem.pub")
	d.restored("execute-rollback")

	d.scenario(0)
	d.run("kubectl -n ebb-run create configmap ebb-config --from-file=config.yaml --from-file=scenario.yaml")
	nightly, ended := d.pod("cronjob.yaml", "ebb-nightly")
	d.ends(nightly, ended)
	d.restored("the run of each night")
	cleanup, ended := d.pod("cronjob.yaml", "ebb-cleanup")
	d.ends(cleanup, ended)
	d.run("ebb cleanup-rollback --store cluster --older-than 720h --keep 200")

	const watching = "ebb watch --store cluster --public-keys key.pem.pub --replay --listen :9090"
	d.did(watching)
	w := d.startWith(d.setUp, "", strings.Fields(strings.Replace(watching, ":9090", "127.0.0.1:0", 1))[1:]...)
	d.await(w, "watching cluster://ebb")
	d.check(w.Process.Signal(os.Interrupt))
	if code := d.finish(w); code != "0" {
		t.Errorf("%s: exit code %s:\n%s", watching, code, d.said(w))
	}
	if len(d.left) > 0 {
		t.Errorf("docs/operations.md has commands that were not run: %q", d.left)
	}
}

// buildStatic makes the tests' binary so that it runs in an empty root, unless it does: what make test
// builds needs nothing else.
func (d *deployed) buildStatic() {
	d.Helper()
	path, err := exec.LookPath("ebb")
	d.check(err)
	file, err := elf.Open(path)
	d.check(err)
	static := !slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	d.check(file.Close())
	if static {
		d.check(copyFile(d.binary, path))
		return
	}
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "ebbtest,urfave_cli_no_docs", "-o", d.binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		d.Fatalf("go build: %v\n%s", err, out)
	}
}

func (d *deployed) check(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

// documented returns the commands of docs/operations.md.
func documented(t *testing.T) (commands []string) {
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	code := false
	for line := range strings.Lines(string(doc)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			code = !code
		case code && (strings.HasPrefix(line, "ebb ") || strings.HasPrefix(line, "kubectl ")):
			commands = append(commands, line)
		}
	}
	return commands
}

// did takes a command from those that are to be run.
func (d *deployed) did(command string) {
	d.left = slices.DeleteFunc(d.left, func(other string) bool { return other == command })
}

func (d *deployed) setUp(c *exec.Cmd) {
	c.Env = append(c.Env, deployTimes, "KUBECONFIG="+sandboxtest.Kubeconfig(d.T))
}

// run runs a command of the document, which has to be there. What kubectl makes is made here.
func (d *deployed) run(command string) (said string) {
	d.Helper()
	if doc := documented(d.T); !slices.Contains(doc, command) {
		d.Fatalf("docs/operations.md has no command %q; it has %q", command, doc)
	}
	d.did(command)
	if strings.HasPrefix(command, "kubectl ") {
		d.make(command)
		return ""
	}
	p := d.startWith(d.setUp, "", strings.Fields(strings.Replace(command, "KUBECONFIG", sandboxtest.Kubeconfig(d.T), 1))[1:]...)
	if code := d.finish(p); code != "0" {
		d.Errorf("%s: exit code %s:\n%s", command, code, d.said(p))
	}
	return d.said(p)
}

var createCommand = regexp.MustCompile(`^kubectl -n (\S+) create (secret generic|configmap) (\S+) (.*)$`)

// make does kubectl create, and again.
func (d *deployed) make(command string) {
	d.Helper()
	m := createCommand.FindStringSubmatch(command)
	data := map[string]string{}
	for word := range strings.FieldsSeq(m[4]) {
		key, file, named := strings.Cut(strings.TrimPrefix(word, "--from-file="), "=")
		if !named {
			file = key
		}
		content, err := os.ReadFile(filepath.Join(d.dir, file))
		d.check(err)
		data[key] = string(content)
	}
	meta, ctx := metav1.ObjectMeta{Name: m[3]}, d.Context()
	var err error
	if m[2] == "configmap" {
		maps := d.admin.CoreV1().ConfigMaps(m[1])
		if _, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: data}, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
			_, err = maps.Update(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: data}, metav1.UpdateOptions{})
		}
	} else {
		secrets := d.admin.CoreV1().Secrets(m[1])
		if _, err = secrets.Create(ctx, &corev1.Secret{ObjectMeta: meta, StringData: data}, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
			_, err = secrets.Update(ctx, &corev1.Secret{ObjectMeta: meta, StringData: data}, metav1.UpdateOptions{})
		}
	}
	d.check(err)
}

// scenario writes the configuration that the ConfigMap gets.
func (d *deployed) scenario(duration int) {
	d.write("config.yaml", "kraken: {chaos_scenarios: [application_outages_scenarios: [scenario.yaml]]}\n")
	d.write("scenario.yaml", "application_outage: {namespace: %s, duration: %d, pod_selector: {app: foo}}\n", d.namespace, duration)
}

// policies counts those of the chaos.
func (d *deployed) policies() int {
	n := 0
	for _, o := range d.objects() {
		if o.kind == "NetworkPolicy" {
			n++
		}
	}
	return n
}

// dies runs the Job's pod, and kills it with its node while the chaos is on.
func (d *deployed) dies() {
	d.Helper()
	p, ended := d.pod("run.yaml", "ebb-run")
	over := false
	if !eventually(func() bool {
		select {
		case <-ended:
			over = true
		default:
		}
		return over || d.policies() == 1
	}) || over {
		d.Fatalf("no chaos: %s", p.output)
	}
	p.kill(d.T, "KILL")
	<-ended
	if n := d.policies(); n != 1 {
		d.Errorf("%d policies after the runner was killed, want its one", n)
	}
}

// restored waits until nothing of the chaos is left.
func (d *deployed) restored(by string) {
	d.Helper()
	if !eventually(func() bool { return d.policies() == 0 }) {
		d.Fatalf("%s did not restore the cluster", by)
	}
}

// ended checks the exit code of a pod.
func (d *deployed) ends(p *podRun, ended chan error) {
	d.Helper()
	if code := codeOf(<-ended); code != "0" {
		d.Errorf("%s: exit code %s:\n%s", p.id, code, p.output)
	}
}
