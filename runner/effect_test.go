package runner_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/cloudtest"
	"github.com/ebb-chaos/ebb/runner"
)

// holdScenario stops an instance, holds that, and sees whether it is stopped.
const holdScenario = `
scenario = Scenario(type = "hold_scenarios", fields = {"seconds": field(type = "duration", default = 0)}, rights = [], help = "stops an instance")

def run(config):
    set_rollback_callable(start, RollbackContent(id = "i-1"), verify = runs, undoes = [ref("aws.Instance", "i-1")])
    cloud.aws.stop("i-1")
    cloud.aws.wait(["i-1"], "stopped", timeout = 60)
    hold(config.seconds)

def effect(config, contents):
    """Fails unless the instance is stopped."""
    state = cloud.aws.describe([contents[0].id])[contents[0].id]
    if state != "stopped":
        fail("i-1 is %s" % state)
    return [ref("aws.Instance", "i-1"), "all of it"]
` + startInstance

// effectBench is a bench with an EC2 and one scenario script.
func effectBench(t *testing.T, script, config string) (*bench, *cloudtest.AWS, []*runner.Scenario) {
	t.Helper()
	ec2 := cloudtest.NewAWS(t)
	for name, value := range ec2.Env() {
		t.Setenv(name, value)
	}
	ec2.AddInstance("i-1", "running")
	b := newBench(t)
	b.use(runner.Options{
		AWS:     runner.AWSFromEnvironment,
		Scripts: []runner.ScriptDir{{Name: "test", FS: fstest.MapFS{"hold.star": {Data: []byte(script)}}}},
	})
	path := filepath.Join(t.TempDir(), "hold.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	scenarios, err := b.Prepare(t.Context(), []runner.ScenarioFile{{Type: "hold_scenarios", Path: path, From: "test:1"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	return b, ec2, scenarios
}

func TestEffect(t *testing.T) {
	without := strings.NewReplacer("def effect(", "def _effect(", "    hold(config.seconds)", "    pass").Replace(holdScenario)
	for name, test := range map[string]struct {
		script string
		state  builtins.EffectState
		kind   runner.Kind
	}{
		"in force":          {holdScenario, builtins.InForce, ""},
		"seen without hold": {strings.Replace(holdScenario, "    hold(config.seconds)", "    pass", 1), builtins.InForce, ""},
		"ended early":       {strings.Replace(holdScenario, "    hold(config.seconds)", "    hold(10, until = undo_it)", 1) + undoIt, builtins.EndedEarly, runner.KindNoEffect},
		"not observed":      {without, builtins.NotObserved, ""},
		"no cluster": {strings.Replace(holdScenario, "state = cloud", `k8s.get("Node", "a")
    state = cloud`, 1), builtins.NotObserved, ""},
		"in doubt": {strings.Replace(holdScenario, "    state = cloud", `    not_observed("it may not be so")
    state = cloud`, 1), builtins.NotObserved, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, ec2, scenarios := effectBench(t, test.script, "seconds: 0\n")
			report := b.run(scenarios, runner.RunOptions{})
			x := report.Scenarios[0]
			if runner.KindOf(x.Err) != test.kind || len(x.Effects) != 1 || x.Effects[0].State != test.state {
				t.Errorf("got %v and %+v, want kind %q and %q", x.Err, x.Effects, test.kind, test.state)
			}
			if test.state == builtins.InForce && strings.Join(x.Effects[0].Hit, "; ") != `aws.Instance "i-1"; all of it` {
				t.Errorf("hit %q", x.Effects[0].Hit)
			}
			if report.Pending() > 0 || ec2.State("i-1") != "running" {
				t.Errorf("%d pending, the instance is %s", report.Pending(), ec2.State("i-1"))
			}
		})
	}
}

// undoIt is somebody who starts the instance meanwhile: seen here as a function that does it in the
// script.
const undoIt = `
def undo_it():
    if cloud.aws.describe(["i-1"])["i-1"] == "stopped":
        set_rollback_callable(start, RollbackContent(id = "i-1"), verify = runs, undoes = [ref("aws.Instance", "i-1")])
        cloud.aws.start("i-1")
        cloud.aws.wait(["i-1"], "running", timeout = 60)
    return False
`

// An undo with a mistake in it that the script's text does not show, or one that is not allowed, is
// found before the change. TestMisspelt has the others.
func TestRehearsal(t *testing.T) {
	for name, script := range map[string]string{
		"callable": strings.Replace(holdScenario, `cloud.aws.start("i-1")`, `getattr(cloud.aws, "strat")("i-1")`, 1),
		"argument": strings.Replace(holdScenario, `cloud.aws.start("i-1")`, `getattr(cloud.aws, "start")(nam = "i-1")`, 1),
		"field":    strings.Replace(holdScenario, `cloud.aws.start("i-1")`, `cloud.aws.start(getattr(content, "ids"))`, 1),
		"verify":   strings.Replace(holdScenario, `["i-1"] != "running"`, `["i-2"] != "running"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			b, ec2, scenarios := effectBench(t, script, "seconds: 0\n")
			report := b.run(scenarios, runner.RunOptions{})
			if runner.KindOf(report.Scenarios[0].Err) != runner.KindScript || ec2.Calls("StopInstances") > 0 || b.flushed() != "" {
				t.Errorf("got %v; stopped %d times; left: %s", report.Scenarios[0].Err, ec2.Calls("StopInstances"), b.flushed())
			}
		})
	}
}

// What programs read of an effect has names that stay.
func TestEffectJSON(t *testing.T) {
	from := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	report := runner.ScenarioResult{Effects: []builtins.Effect{{
		State: builtins.EndedEarly, Hit: []string{`Pod "a"`}, From: from, Until: from.Add(3 * time.Second), Why: "it is gone",
	}}}
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	want := `"effects":[{"state":"ended early","hit":["Pod \"a\""],"from":"2026-11-27T10:00:00Z","until":"2026-11-27T10:00:03Z","why":"it is gone"}]`
	if !strings.Contains(string(data), want) {
		t.Errorf("got %s, want it with %s", data, want)
	}
	var again runner.ScenarioResult
	if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again.Effects, report.Effects) {
		t.Errorf("read again: %v, %+v", err, again.Effects)
	}
}
