package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

// wrongScenarios are the scenarios of testdata/matrix that ask the API server, and the types of
// their files.
var wrongScenarios = map[string]string{
	"container": "container_scenarios", "kubevirt": "kubevirt_vm_outage", "managedcluster": "managedcluster_scenarios", "node_block": "node_scenarios",
	"node_crash": "node_scenarios", "node_kubelet": "node_scenarios",
	"netng_vmi_filter": "network_chaos_ng_scenarios", "poddisruption": "pod_disruption_scenarios", "podnetwork": "pod_network_scenarios",
	"servicedisruption": "service_disruption_scenarios",
	"hijack":            "service_hijacking_scenarios", "hog": "hog_scenarios", "httpload": "http_load_scenarios", "netchaos": "network_chaos_scenarios",
	"netng_interface_down": "network_chaos_ng_scenarios", "netng_node_chaos": "network_chaos_ng_scenarios", "netng_node_filter": "network_chaos_ng_scenarios",
	"netng_pod_chaos": "network_chaos_ng_scenarios", "netng_pod_filter": "network_chaos_ng_scenarios", "outage": "application_outages_scenarios",
	"pvc": "pvc_scenarios", "synflood": "syn_flood_scenarios", "throttle": "storage_throttle_scenarios",
	"time": "time_scenarios",
}

// mostRequests is more than a run or a replay of any of them makes.
const mostRequests = 100

// TestWrongAnswersEverywhere gives a wrong answer to a request of a run or a replay, once or from
// then on, and holds what is then said of the cluster against the cluster itself. Each kind of wrong
// answer comes once, and the requests are spread over runs and replays of some scenarios; others are
// chosen with EBB_WRONG=kubevirt,node_block. With EBB_MATRIX=all, as make soak has it, each request of each scenario gets four kinds, and with
// EBB_WRONG=all too it gets all of them, which takes a night.
func TestWrongAnswersEverywhere(t *testing.T) {
	t.Parallel()
	cases := wrongCases()
	done := &wrongFigures{ends: map[string]int{}}
	t.Run("scenarios", func(t *testing.T) {
		for name, lines := range cases {
			file := filepath.Join("../../testdata/matrix", name+".txtar")
			if !slices.Contains(scriptFiles(t, "../../testdata/matrix", racedScenarios), file) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				params := scriptParams(t)
				params.Files = []string{wrongScript(t, file, lines)}
				params.Cmds["ending"] = cmdEnding
				params.Cmds["wrong"] = func(ts *testscript.TestScript, neg bool, args []string) { done.wrong(ts, wrongScenarios[name], args) }
				testscript.Run(t, params)
			})
		}
	})
	done.mu.Lock()
	defer done.mu.Unlock()
	t.Logf("figures: %d wrong answers of %d kinds, given %d times: %v", done.cases, len(sandboxtest.WrongAnswers()), done.given, done.ends)
}

// sampled are those of which every run of the tests tries some cases.
var sampled = []string{"hijack", "hog", "netng_node_filter", "outage", "pvc"}

// wrongCases returns the lines with the command wrong, by scenario.
func wrongCases() map[string][]string {
	cases := map[string][]string{}
	kinds := sandboxtest.WrongAnswers()
	if os.Getenv("EBB_MATRIX") != "all" {
		sampled := sampled
		if names := os.Getenv("EBB_WRONG"); names != "" {
			sampled = strings.Split(names, ",")
		}
		for i, kind := range kinds {
			name := sampled[i%len(sampled)]
			n := len(cases[name])
			// What stays wrong leaves requests of which nobody knows whether they still land, and
			// that is waited for: one of each scenario is enough here.
			phase, mode := []string{"run", "replay"}[(n+i%len(sampled))%2], "once"
			if n == 0 || kind.Class != sandboxtest.Outage {
				mode = "always"
			}
			// The requests go through the whole of a run.
			cases[name] = append(cases[name], fmt.Sprintf("wrong %s %s %d%% %s", phase, mode, (n*37+i*11)%100, word(kind.Name)))
		}
		return cases
	}
	perRequest := 4
	if os.Getenv("EBB_WRONG") == "all" {
		perRequest = len(kinds)
	}
	for name := range wrongScenarios {
		for at := range mostRequests {
			for _, phase := range []string{"run", "replay"} {
				for i := range perRequest {
					// Step by step through all kinds, and other ones at each request.
					kind := kinds[(at*perRequest+i+len(name))%len(kinds)]
					cases[name] = append(cases[name], fmt.Sprintf("wrong %s %s %d %s", phase, []string{"always", "once"}[i%2], at, word(kind.Name)))
				}
			}
		}
	}
	return cases
}

// word is a word of a script.
func word(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// wrongScript makes a script out of one of the matrix: what is compared after its replay is
// compared after each case.
func wrongScript(t *testing.T, file string, cases []string) string {
	t.Helper()
	setUp, checks, files := matrixParts(t, file)
	checks, _, _ = strings.Cut(checks, "exec ebb list-rollback") // the command looks itself
	script := setUp
	for _, c := range cases {
		script += c + "\n" + checks
	}
	path := filepath.Join(t.TempDir(), filepath.Base(file))
	if err := os.WriteFile(path, []byte(script+"\n-- "+files), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wrongFigures are what came of all cases.
type wrongFigures struct {
	mu           sync.Mutex
	cases, given int
	ends         map[string]int
}

// plainRequests is how many requests a run and a replay make when nothing is wrong, by script.
var plainRequests sync.Map

type requestCounts struct{ run, replay int }

// wrong PHASE MODE AT KIND runs the scenario and undoes it, in this process, and gives one request
// of the run or of the replay a wrong answer of that kind, or with MODE always each one from there
// on. AT is a number, or a share of all. What is pending is then replayed without faults, so that
// what stands after the command is judged as it is after a replay: something that was said to be
// restored, and was not, is still there.
func (f *wrongFigures) wrong(ts *testscript.TestScript, scenarioType string, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: wrong run|replay once|always N|N%% KIND")
	}
	kinds := sandboxtest.WrongAnswers()
	i := slices.IndexFunc(kinds, func(w sandboxtest.WrongAnswer) bool { return w.Name == args[3] })
	if i < 0 {
		ts.Fatalf("no wrong answer is named %q", args[3])
	}
	w := &wrongWorld{ts: ts, t: testOf(ts), scenarioType: scenarioType, kind: kinds[i], always: args[1] == "always"}
	known, ok := plainRequests.Load(ts)
	if !ok {
		counts := requestCounts{w.run(-1), 0}
		w.leave()
		counts.replay = w.replay(-1)
		w.checkNothingPending("a replay without faults")
		known = counts
		plainRequests.Store(ts, known)
	}
	total := known.(requestCounts).run
	if args[0] == "replay" {
		total = known.(requestCounts).replay
	}
	at, err := strconv.Atoi(strings.TrimSuffix(args[2], "%"))
	ts.Check(err)
	if strings.HasSuffix(args[2], "%") {
		at = at * total / 100
	}
	if at >= total {
		return
	}
	switch args[0] {
	case "run":
		w.run(at)
	case "replay":
		w.leave()
		w.replay(at)
	default:
		ts.Fatalf("wrong: got %q", args[0])
	}
	f.mu.Lock()
	f.cases++
	f.given += w.given
	f.ends[args[0]+": "+w.end]++
	f.mu.Unlock()
	w.replay(-1)
	w.checkNothingPending("a replay without faults after " + strings.Join(args, " "))
}

// wrongWorld is one case.
type wrongWorld struct {
	ts           *testscript.TestScript
	t            testing.TB
	scenarioType string
	kind         sandboxtest.WrongAnswer
	always       bool
	given        int
	end          string
	unrestored   []string // of the last replay: outcomes and reasons
}

// proxied is a runner whose requests are counted; from the at-th on they get the wrong answer. -1
// is never.
func (w *wrongWorld) proxied(at int, hooks runner.Hooks) (r *runner.Runner, asked func() []string) {
	// Where the script has a proxy of its own, with the stand-ins of a node, that one is behind this one.
	proxy, file := sandboxtest.FaultProxy(w.t, cmp.Or(w.ts.Getenv("KUBECONFIG_PROXY"), w.ts.Getenv("KUBECONFIG")))
	var mu sync.Mutex
	n := 0
	proxy.Handle(func(*http.Request) sandboxtest.Fault {
		mu.Lock()
		defer mu.Unlock()
		n++
		if at < 0 || n <= at || n > at+1 && !w.always {
			return nil
		}
		w.given++
		return w.kind.Fault
	})
	store, err := versions.NewDir(w.ts.Getenv("VERSIONS"))
	w.ts.Check(err)
	// What may be asked again as long as the patience lasts has little of it, and what may not has
	// a lot: then only a client that asks too often takes long.
	patience := time.Minute
	if w.kind.Class == sandboxtest.Outage && w.always && at >= 0 {
		patience = 30 * time.Millisecond
	}
	r, err = runner.New(store, runner.Options{
		Cluster:  func() (*rest.Config, error) { return kube.LoadConfig(file, "") },
		Scripts:  []runner.ScriptDir{{Name: "built-in", FS: scriptsFor(w.ts)}},
		Patience: patience, Hooks: hooks,
	})
	w.ts.Check(err)
	return r, proxy.Requests
}

// scriptsFor returns the built-in scripts. Where the script has something that stands for the /proc of
// nodes, they write there: a process of its own is told by its environment, and this is none.
func scriptsFor(ts *testscript.TestScript) fs.FS {
	proc := ts.Getenv("EBB_PROC")
	if proc == "" {
		return scripts.FS
	}
	all := fstest.MapFS{}
	ts.Check(fs.WalkDir(scripts.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(scripts.FS, path)
		all[path] = &fstest.MapFile{Data: bytes.ReplaceAll(text, []byte(`PROC = "/host/proc"`), []byte(fmt.Sprintf("PROC = %q", proc)))}
		return err
	}))
	return all
}

// run runs the scenario, and returns how many requests that took.
func (w *wrongWorld) run(at int) int {
	r, asked := w.proxied(at, runner.Hooks{})
	report := w.runWith(context.Background(), r, runner.RunOptions{})
	w.end = "restored"
	switch pending := len(w.pending()); {
	case report.Pending() > 0 && pending == 0:
		w.ts.Fatalf("%d files are said to be pending, and none is there", report.Pending())
	case report.Pending() == 0 && pending > 0:
		w.ts.Fatalf("nothing is said to be pending, and %q is there", w.pending())
	case pending > 0:
		w.end = "pending"
	case report.Scenarios[0].Err != nil:
		w.end = "failed, restored"
	}
	w.checkPatient(at, asked())
	return len(asked())
}

func (w *wrongWorld) runWith(ctx context.Context, r *runner.Runner, o runner.RunOptions) *runner.RunReport {
	prepared, err := r.Prepare(ctx, []runner.ScenarioFile{{Type: w.scenarioType, Path: w.ts.MkAbs("scenario.yaml")}}, false)
	w.ts.Check(err)
	report, err := r.Run(ctx, prepared, o)
	w.ts.Check(err)
	return report
}

// leave runs the scenario without faults until something is changed, and leaves that to a replay, as
// a process that is killed does.
func (w *wrongWorld) leave() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, _ := w.proxied(-1, runner.Hooks{Reached: func(p runner.Point) {
		if p == runner.AfterChange {
			cancel()
		}
	}})
	if report := w.runWith(ctx, r, runner.RunOptions{LeaveFailed: true}); report.Pending() == 0 {
		w.ts.Fatalf("nothing was left: %v", report.Scenarios[0].Err)
	}
}

// replay replays what is pending, and returns how many requests that took.
func (w *wrongWorld) replay(at int) int {
	r, asked := w.proxied(at, runner.Hooks{})
	before := w.pending()
	report, err := r.Replay(context.Background(), runner.ReplayOptions{})
	w.ts.Check(err)
	end := "restored"
	left := w.pending()
	w.unrestored = nil
	for _, x := range report.Results {
		if there := slices.Contains(left, x.File.Location); there == x.Outcome.Undone() {
			w.ts.Fatalf("%s is %s, and still pending: %t", x.File.Location, x.Outcome, there)
		}
		if !x.Outcome.Undone() {
			end = "pending"
			w.unrestored = append(w.unrestored, fmt.Sprintf("%s: %v", x.Outcome, x.Err))
		}
	}
	if len(report.Results) != len(before) {
		w.ts.Fatalf("%d results of %d files", len(report.Results), len(before))
	}
	if at >= 0 {
		w.end = end
	}
	w.checkPatient(at, asked())
	return len(asked())
}

// checkPatient fails if one question was asked too often after the wrong answers had begun.
func (w *wrongWorld) checkPatient(at int, asked []string) {
	most := map[sandboxtest.Class]int{sandboxtest.Few: 60, sandboxtest.Final: 30}[w.kind.Class]
	if at < 0 || most == 0 || !w.always {
		return
	}
	times := map[string]int{}
	for _, request := range asked[min(at, len(asked)):] {
		if times[request]++; times[request] > most {
			w.ts.Fatalf("%s: asked %d times: %s; all: %q", w.kind.Name, times[request], request, asked[min(at, len(asked)):])
		}
	}
}

// pending are the version files that can be replayed, by their paths.
func (w *wrongWorld) pending() []string {
	found, err := filepath.Glob(filepath.Join(w.ts.Getenv("VERSIONS"), "*", "*.star"))
	w.ts.Check(err)
	return found
}

func (w *wrongWorld) checkNothingPending(after string) {
	if left := w.pending(); len(left) > 0 {
		w.ts.Fatalf("still pending after %s: %q: %q", after, left, w.unrestored)
	}
}
