package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// lateLimit is how long after a kill a request of the dead process can still land.
const lateLimit = 15 * time.Second

// killsAtATime is more than there are processors: most of a run is waiting.
const killsAtATime = 4

// TestKillAtRandom kills runs at random instants. After each, every change that is in
// the cluster is named by a pending version file that can be loaded, and replaying
// those leaves nothing. EBB_SOAK_KILLS says how many, EBB_SOAK_SEED repeats the
// instants of another time as far as clocks allow.
func TestKillAtRandom(t *testing.T) {
	t.Parallel()
	kills, seed := number(t, "EBB_SOAK_KILLS", 12), number(t, "EBB_SOAK_SEED", int(time.Now().UnixNano()))
	t.Logf("%d kills; to repeat: EBB_SOAK_SEED=%d", kills, seed)
	k := &killing{client: adminClient(t), stages: map[string]int{}}
	var killed time.Time
	// The namespaces are the whole test's: one that ended would take with it what appears late.
	k.namespaces = make([]string, kills)
	for i := range k.namespaces {
		k.namespaces[i] = sandboxtest.Namespace(t)
	}
	t.Run("kill", func(t *testing.T) {
		slots := make(chan struct{}, killsAtATime)
		var last sync.Mutex
		for i := range kills {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				k.one(t, k.namespaces[i], rand.New(rand.NewPCG(uint64(seed), uint64(i))))
				last.Lock()
				defer last.Unlock()
				killed = time.Now()
			})
		}
	})
	t.Logf("killed: %v", k.stages)
	// What was on its way when its sender died has landed by now, or never will.
	time.Sleep(time.Until(killed.Add(lateLimit)))
	for _, o := range k.objects(t, "") {
		if slices.Contains(k.namespaces, o.namespace) {
			t.Errorf("appeared late: %s", o)
		}
	}
}

func number(t *testing.T, variable string, otherwise int) int {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: got %q, want a number of at least 1", variable, text)
	}
	return n
}

func adminClient(t *testing.T) dynamic.Interface {
	config, err := clientcmd.BuildConfigFromFlags("", sandboxtest.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// killing is what the kills of a test share.
type killing struct {
	client     dynamic.Interface
	namespaces []string

	mu     sync.Mutex
	stages map[string]int // what was there when a run was killed, and how often
}

const killConfig = `
kraken:
  kubeconfig_path: %q
  rollback_versions_directory: versions
  scenario_scripts_directory: steps
  chaos_scenarios:
    - application_outages_scenarios: [outage.yaml]
    - steps_scenarios: [steps.yaml]
    - hog_scenarios: [hog.yaml]
tunings:
  wait_duration: 0
`

// one starts a run, kills it, looks, replays and looks again.
func (k *killing) one(t *testing.T, namespace string, random *rand.Rand) {
	work := t.TempDir()
	if err := copySteps(work); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"config.yaml": fmt.Sprintf(killConfig, sandboxtest.Kubeconfig(t)),
		"outage.yaml": fmt.Sprintf("application_outage: {namespace: %s, duration: 0}\n", namespace),
		"steps.yaml":  fmt.Sprintf("{namespace: %s, steps: [one, two, three]}\n", namespace),
		"hog.yaml":    fmt.Sprintf("{hog-type: cpu, namespace: %s, duration: 1, node-selector: node-role.kubernetes.io/worker=}\n", namespace),
	} {
		if err := os.WriteFile(filepath.Join(work, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	stage := killRun(t, work, random)

	files := pendingFiles(t, work)
	objects := k.objects(t, namespace)
	k.mu.Lock()
	k.stages[fmt.Sprintf("%s with %d pending file(s), %d object(s)", stage, len(files), len(objects))]++
	k.mu.Unlock()
	named := map[string]bool{}
	for file, content := range files {
		for _, ref := range refs(content) {
			named[ref] = true
		}
		if out, code := command(t, work, "check-rollback", file); code != 0 {
			t.Errorf("check-rollback %s: exit code %d:\n%s", file, code, out)
		}
	}
	for _, o := range objects {
		if !named[o.String()] {
			t.Errorf("%s is in the cluster, and no pending version file names it; the files: %q", o, files)
		}
	}

	// Every other replay is killed as well: it can be repeated.
	if random.IntN(2) == 0 {
		killReplay(t, work, time.Duration(random.Int64N(int64(200*time.Millisecond))))
	}
	if out, code := command(t, work, "execute-rollback", "--config", "config.yaml"); code != 0 {
		t.Errorf("execute-rollback: exit code %d:\n%s", code, out)
	}
	if left := k.objects(t, namespace); len(left) > 0 {
		t.Errorf("left after execute-rollback: %s", left)
	}
	if files := pendingFiles(t, work); len(files) > 0 {
		t.Errorf("pending after execute-rollback: %q", files)
	}
	if out, code := command(t, work, "list-rollback", "--config", "config.yaml", "--pending"); code != 0 || strings.Contains(out, ".star") {
		t.Errorf("list-rollback --pending: exit code %d:\n%s", code, out)
	}
}

// killRun kills a run at a random instant: any at all, or shortly after some of its
// files were written or undone, where most is going on.
func killRun(t *testing.T, work string, random *rand.Rand) (stage string) {
	path, err := exec.LookPath("ebb")
	if err != nil {
		t.Fatal(err)
	}
	run := exec.Command(path, "run", "--config", "config.yaml")
	run.Dir = work
	var log bytes.Buffer
	run.Stderr = &log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	over, ended := make(chan error, 1), make(chan struct{})
	go func() {
		over <- run.Wait()
		close(ended)
	}()
	lines, shortly := random.IntN(15), time.Duration(random.Int64N(int64(10*time.Millisecond)))
	instant := make(chan time.Time, 1)
	if random.IntN(3) == 0 {
		stage = "at any time"
		time.AfterFunc(time.Duration(random.Int64N(int64(1500*time.Millisecond))), func() { instant <- time.Now() })
	} else {
		stage = fmt.Sprintf("after %d journal lines", lines)
		go func() {
			for journalLines(work) < lines {
				select {
				case <-ended:
					return
				case <-time.After(time.Millisecond):
				}
			}
			time.Sleep(shortly)
			instant <- time.Now()
		}()
	}
	select {
	case err := <-over:
		if err != nil {
			t.Errorf("the run failed before it was killed: %v\n%s", err, &log)
		}
		return "not at all"
	case <-instant:
		if err := run.Process.Kill(); err != nil {
			t.Log(err) // it ended by itself just now
		}
		if err := <-over; err != nil && codeOf(err) != "killed" {
			t.Errorf("the run failed before it was killed: %v\n%s", err, &log)
		}
	}
	return stage
}

// killReplay kills a replay some time after its start.
func killReplay(t *testing.T, work string, after time.Duration) {
	path, err := exec.LookPath("ebb")
	if err != nil {
		t.Fatal(err)
	}
	replay := exec.Command(path, "execute-rollback", "--config", "config.yaml")
	replay.Dir = work
	if err := replay.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	if err := replay.Process.Kill(); err != nil {
		t.Log(err) // it ended by itself just now
	}
	if err := replay.Wait(); err != nil && codeOf(err) != "killed" {
		t.Errorf("the replay failed before it was killed: %v", err)
	}
}

// journalLines counts what was flushed, attempted and undone so far.
func journalLines(work string) int {
	journal, err := os.ReadFile(filepath.Join(work, "versions", "journal.jsonl"))
	if err != nil {
		return -1 // not there yet
	}
	return bytes.Count(journal, []byte("\n"))
}

// command runs ebb and returns all that it says, and its exit code.
func command(t *testing.T, work string, args ...string) (string, int) {
	path, err := exec.LookPath("ebb")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = work
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// pendingFiles reads the pending version files, without any help of ebb's.
func pendingFiles(t *testing.T, work string) map[string]string {
	names, err := filepath.Glob(filepath.Join(work, "versions", "*", "*.star"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
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
func (k *killing) objects(t *testing.T, namespace string) []object {
	var found []object
	for _, kind := range []string{"pods", "configmaps", "networkpolicies"} {
		list, err := k.client.Resource(kinds[kind]).Namespace(namespace).
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
