package supervisor_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
)

// steps is a scenario that changes nothing: what it is about is not in any cluster.
const steps = `
scenario = Scenario(
    type = "steps_scenarios",
    help = "changes nothing",
    fields = {"steps": field(type = "list", items = field(), required = True), "bomb": field(type = "bool", default = False), "fail": field(type = "bool", default = False)},
    rights = [],
)

def run(config):
    for name in config.steps:
        set_rollback_callable(rollback, RollbackContent(resource_identifier = name), verify = verify, undoes = [ref("aws.Instance", name)])
    if config.bomb:
        [[0] * (1 << 20) for _ in range(1000)]
    if config.fail:
        fail("as it is told")

def rollback(rollback_content):
    """Does nothing."""
    log.info("undoing step " + rollback_content.resource_identifier)

def verify(rollback_content):
    """Passes."""
    pass
`

// scenarios are files of steps, by their content.
func (p *place) scenarios(contents ...string) supervisor.Scenarios {
	p.Scripts = map[string]string{"steps.star": steps}
	var all supervisor.Scenarios
	for i, content := range contents {
		all.Files = append(all.Files, runner.ScenarioFile{Type: "steps_scenarios", Path: fmt.Sprintf("%d.yaml", i), From: "test", Data: []byte(content)})
	}
	return all
}

// told is a report of a run in a few words: for each scenario its place, whether it failed, how
// many of its files were undone, and how many are left.
func told(report *runner.RunReport) string {
	var all []string
	for _, x := range report.Scenarios {
		undone := 0
		for _, r := range x.Results {
			if r.Outcome.Undone() {
				undone++
			}
		}
		all = append(all, fmt.Sprintf("%d.%d: %q, %d of %d undone, %d left", x.Position.Iteration, x.Position.Index, runner.KindOf(x.Err), undone, len(x.Results), len(x.Pending)))
	}
	return strings.Join(all, "\n")
}

// TestRun: a scenario whose code takes its process down has failed and is undone, and what comes
// after it is as after any failed scenario.
func TestRun(t *testing.T) {
	t.Parallel()
	const (
		good  = "{steps: [a, b]}"
		bad   = "{steps: [a, b], bomb: true}"
		fails = "{steps: [a, b], fail: true}"
	)
	for name, c := range map[string]struct {
		scenarios []string
		options   runner.RunOptions
		kill      runner.Point
		kills     int
		want      []string
	}{
		"goes on": {
			scenarios: []string{good, bad, fails, bad, good},
			want: []string{
				`0.0: "", 2 of 2 undone, 0 left`, `0.1: "lost", 2 of 2 undone, 0 left`, `0.2: "failed", 2 of 2 undone, 0 left`,
				`0.3: "lost", 2 of 2 undone, 0 left`, `0.4: "", 2 of 2 undone, 0 left`,
			},
		},
		"exit on failure": {
			scenarios: []string{good, bad, good}, options: runner.RunOptions{ExitOnFailure: true},
			want: []string{`0.0: "", 2 of 2 undone, 0 left`, `0.1: "lost", 2 of 2 undone, 0 left`},
		},
		"left": {
			scenarios: []string{bad, good}, options: runner.RunOptions{LeaveFailed: true},
			want: []string{`0.0: "lost", 0 of 0 undone, 2 left`},
		},
		"iterations": {
			scenarios: []string{bad, good}, options: runner.RunOptions{Iterations: 2},
			want: []string{
				`0.0: "lost", 2 of 2 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`,
				`1.0: "lost", 2 of 2 undone, 0 left`, `1.1: "", 2 of 2 undone, 0 left`,
			},
		},
		// Killed from outside, as the kernel does where memory is short.
		"before flush": {scenarios: []string{good, good}, kill: runner.BeforeFlush, want: []string{`0.0: "lost", 0 of 0 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`}},
		"after flush":  {scenarios: []string{good, good}, kill: runner.AfterFlush, want: []string{`0.0: "lost", 0 of 0 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`}},
		// The code of a version file was at work: it may have been that.
		"before undo":   {scenarios: []string{good, good}, kill: runner.BeforeUndo, want: []string{`0.0: "lost", 0 of 2 undone, 0 left`}},
		"before rename": {scenarios: []string{good, good}, kill: runner.BeforeRename, want: []string{`0.0: "lost", 2 of 2 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`}},
		"after rename":  {scenarios: []string{good, good}, kill: runner.AfterRename, want: []string{`0.0: "lost", 2 of 2 undone, 0 left`, `0.1: "", 2 of 2 undone, 0 left`}},
		// What a process renamed or removed and did not live to say is in the report.
		"after rename, failed": {scenarios: []string{fails}, kill: runner.AfterRename, want: []string{`0.0: "lost", 2 of 2 undone, 0 left`}},
		"after rename, again": {
			scenarios: []string{"{steps: [a, b, c, d]}"}, kill: runner.AfterRename, kills: 2,
			want: []string{`0.0: "lost", 4 of 4 undone, 0 left`},
		},
		"before rename, again": {
			scenarios: []string{"{steps: [a, b, c, d]}"}, kill: runner.BeforeRename, kills: 2,
			want: []string{`0.0: "lost", 4 of 4 undone, 0 left`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.Kill, p.Kills = string(c.kill), c.kills
			scenarios := p.scenarios(c.scenarios...)
			report, err := p.supervisor(nil).Run(t.Context(), scenarios, c.options)
			if err != nil {
				t.Fatalf("%v; the log:\n%s", err, p.said())
			}
			p.want("report", told(report), strings.Join(c.want, "\n"))
			left := 0
			for _, x := range report.Scenarios {
				left += len(x.Pending)
				for _, r := range x.Results {
					if !r.Outcome.Undone() {
						left++
					}
				}
			}
			p.want("pending files", len(p.pending()), left)
		})
	}
}

// TestRunInterrupted: the scenario that another worker has to undo has only what is left of the
// grace, and no other begins.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	scenarios := p.scenarios("{steps: [a, b]}", "{steps: [a, b]}")
	p.Scripts["steps.star"] = strings.Replace(steps, "    if config.bomb:\n", "    log.info(\"waiting\")\n    time.sleep(600)\n    if config.bomb:\n", 1)
	p.Kill = string(runner.BeforeRename)
	ctx := p.untilSaid("waiting", 1)
	report, err := p.supervisor(nil).Run(ctx, scenarios, runner.RunOptions{})
	if err != nil {
		t.Fatalf("%v; the log:\n%s", err, p.said())
	}
	p.want("report", told(report), `0.0: "lost", 2 of 2 undone, 0 left`)
	p.want("interrupted", report.Interrupted, true)
	p.want("pending", p.pending(), []string{})
}

// TestRunInterruptedWhileLoading: a worker took the place of one that died and undid its scenario,
// and the interruption meets it while it loads the scripts. Nothing is left, so nothing is
// incomplete.
func TestRunInterruptedWhileLoading(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	scenarios := p.scenarios("{steps: [a, b]}", "{steps: [a]}")
	p.Kill, p.Endless = string(runner.BeforeRename), true
	ctx := p.untilSaid("Scenario 0.yaml failed", 1)
	report, err := p.supervisor(nil).Run(ctx, scenarios, runner.RunOptions{})
	if err != nil {
		t.Fatalf("%v; the log:\n%s", err, p.said())
	}
	p.want("report", told(report), `0.0: "lost", 2 of 2 undone, 0 left`)
	p.want("interrupted", report.Interrupted, true)
}

// TestRunDaemon ends in the middle of a round, whatever took its workers down before.
func TestRunDaemon(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ctx := p.untilSaid("Scenario 0.yaml failed", 4)
	scenarios := p.scenarios("{steps: [a], bomb: true}", "{steps: [a]}")
	report, err := p.supervisor(nil).Run(ctx, scenarios, runner.RunOptions{Daemon: true})
	if err != nil {
		t.Fatalf("%v; the log:\n%s", err, p.said())
	}
	if n := len(report.Scenarios); n == 0 || n > 3 || !report.Interrupted {
		t.Errorf("got %d scenarios, interrupted %v, want those of the last round: %s", n, report.Interrupted, told(report))
	}
	p.want("pending", p.pending(), []string{})
}
