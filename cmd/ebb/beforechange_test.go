package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
)

// beforeChange are failures that keep a run from its first change.
var beforeChange = map[string]failure{
	"full disk": {
		disk: "48k", begin: func(*failing) {},
		kind: runner.KindStore, code: "4",
		reason: `^no version file, no chaos: .*no space left on device$`,
		hints:  []string{`^fix the cause, or set kraken\.rollback_versions_directory to another place$`},
	},
	"overlap": {
		begin: func(w *failing) {
			if code, said := w.ebb("kill@after-change", "run", "--config", "config.yaml"); code != "killed" {
				w.Fatalf("run: exit code %s, want killed:\n%s", code, said)
			}
		},
		kind: runner.KindOverlap, code: "4",
		reason: `ConfigMap "one" in namespace "test-\w+" still has to be restored by /.*\.star$`,
		hints:  []string{`^replay that first: ebb execute-rollback --config config\.yaml --kubeconfig \S+ --run_uuid [0-9a-f-]{36}$`},
	},
	"preflight": {
		user: []string{"get,list,create:configmaps"}, begin: func(*failing) {},
		kind: runner.KindRights, code: "4",
		reason: `^the scenario and its undo need rights that this user does not have on https://\S+: delete configmaps$`,
		hints:  []string{`^docs/scenarios.md lists what each scenario needs; --skip-preflight runs it anyway$`},
	},
	"no such context": {
		login: func(c *clientcmdapi.Config) { c.CurrentContext = "nowhere" },
		kind:  runner.KindConfiguration, code: "64",
		reason: `nowhere`,
	},
	"mistake in the scenario file": {
		begin: func(w *failing) { w.write("steps.yaml", "{namespace: %s, steps: [one], dration: 5}\n", w.namespace) },
		kind:  runner.KindScenario, code: "64",
		reason: `^steps\.yaml:1: key "dration": unknown; did you mean "duration"\?$`,
		hints:  []string{`^docs/scenarios\.md has the keys of each type; to check the files anew: ebb run --config config\.yaml --kubeconfig \S+ --check$`},
	},
	"mistake in the script": {
		begin: func(w *failing) { w.write("steps/steps.star", "scenario = Scenari()\n") },
		kind:  runner.KindScript, code: "64",
		reason: `steps\.star:1:12: undefined: Scenari$`,
		hints:  []string{`^did you mean scenario\?$`},
	},
}

// TestFailuresBeforeChange has each of them met by a run, as text and as JSON, and by a run in a worker, in a process that
// can start none, and without any supervisor: all say the same of it, and nothing is changed.
func TestFailuresBeforeChange(t *testing.T) {
	t.Parallel()
	for name, f := range beforeChange {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFailing(t, f)
			if f.begin != nil {
				f.begin(w)
			} else {
				w.relogin()
			}
			objects, pending := w.objects(), w.pending()
			want := w.runJSON()
			w.runText(want)
			data, err := os.ReadFile(filepath.Join(w.dir, "steps.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			scenarios := supervisor.Scenarios{Files: []runner.ScenarioFile{{Type: "steps_scenarios", Path: "steps.yaml", Data: data}}}
			for name, frontend := range w.frontends() {
				report, err := frontend.Run(w.Context(), scenarios, runner.RunOptions{})
				if err == nil && len(report.Scenarios) == 1 {
					err = report.Scenarios[0].Err
				}
				got := said{Kind: runner.KindOf(err), Hints: bareCaller.hints(err)}
				if err != nil {
					got.Reason = err.Error()
				}
				w.same("a run "+name, got, want, "")
			}
			if diff := gocmp.Diff(objects, w.objects(), gocmp.AllowUnexported(object{})); diff != "" {
				t.Errorf("objects were changed:\n%s", diff)
			}
			if diff := gocmp.Diff(pending, w.pending()); diff != "" {
				t.Errorf("version files were changed:\n%s", diff)
			}
		})
	}
}

// runArgs are a run's, with the flags of the test.
func (w *failing) runArgs(more ...string) []string {
	return slices.Concat([]string{"run", "--config", "config.yaml", "--kubeconfig", w.kubeconfig}, w.limits(), more)
}

// runJSON has a run meet the failure, and holds what its document says against what is wanted.
func (w *failing) runJSON() said {
	w.Helper()
	var out bytes.Buffer
	code, errs := w.ebbTo(&out, w.runArgs("-o", "json")...)
	var document struct {
		Error     *jsonFailure
		Scenarios []struct{ Error *jsonFailure }
	}
	if err := json.Unmarshal(out.Bytes(), &document); err != nil {
		w.Fatalf("run -o json: %v; it said:\n%s%s", err, &out, errs)
	}
	failure := document.Error
	if len(document.Scenarios) == 1 {
		failure = document.Scenarios[0].Error
	}
	if failure == nil {
		w.Fatalf("run -o json: it says of no failure:\n%s%s", &out, errs)
	}
	if code != w.code || failure.Kind != w.kind || !regexp.MustCompile(w.reason).MatchString(failure.Message) {
		w.Errorf("run -o json: got exit code %s, kind %q, %q, want %s, %q, %q", code, failure.Kind, failure.Message, w.code, w.kind, w.reason)
	}
	if !slices.EqualFunc(failure.Hints, w.hints, func(got, want string) bool { return regexp.MustCompile(want).MatchString(got) }) {
		w.Errorf("run -o json: got the hints %q, want %q", failure.Hints, w.hints)
	}
	return said{Kind: failure.Kind, Reason: failure.Message, Hints: failure.Hints}
}

// runText has a run say the same as text.
func (w *failing) runText(want said) {
	w.Helper()
	code, all := w.ebb("", w.runArgs()...)
	if code != w.code {
		w.Errorf("run: exit code %s as text, %s with JSON:\n%s", code, w.code, all)
	}
	got := said{Reason: "it says of no failure", Hints: hintsIn(all, `(?m)hint: (.*)$`)}
	if m := regexp.MustCompile(`(?m)(?:Scenario steps\.yaml failed|^ebb): (.*)$`).FindStringSubmatch(all); m != nil {
		got.Reason = m[1]
	}
	w.same("run", got, want.text(), all)
}
