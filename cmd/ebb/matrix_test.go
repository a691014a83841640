package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// points are where every scenario's run is killed.
const points = "before-flush:1 after-flush:1 after-change:1 during-undo:1 before-rename:1"

// provingPoints are where a run looks at the undo before the chaos, and at the chaos. It is killed
// there with EBB_MATRIX=all, and in a scenario that is quick in any case.
const (
	provingPoints = "rehearsal:1 effect-seen:1"
	quick         = "outage"
)

// morePoints are where some are killed besides: those that write several version files or
// change several things. After a comma stands where the replay is killed; the run
// before it mostly at its last change, since most stands then. They take as long again
// as all others, so that they run only with EBB_MATRIX=all, as make soak does.
var morePoints = map[string]string{
	"container": "before-flush:2 after-flush:2 after-change:2 before-rename:2 after-change:2,before-rename:1",
	"hijack":    "before-flush:2 after-flush:2 after-change:2 after-change:3 during-undo:2 during-undo:3 before-rename:2 after-change:3,during-undo:1 after-change:3,during-undo:2 after-change:3,before-rename:1 after-change:3,before-rename:2",
	"httpload":  "before-flush:2 after-flush:2 after-change:2 during-undo:2 before-rename:2",
	// What is kept off is deleted by its controller too, at times before the run: two changes are certain.
	"kubevirt":             "after-flush:3 after-change:2 during-undo:2 before-rename:3 after-change:2,during-undo:1 after-change:2,before-rename:2",
	"managedcluster":       "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1 after-change:2,during-undo:2",
	"netchaos":             "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1",
	"netng_interface_down": "after-flush:2 after-change:2 before-rename:2 after-change:2,before-rename:1",
	"netng_node_chaos":     "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1",
	"netng_node_filter":    "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1 after-change:2,before-rename:1 after-change:2,during-undo:2",
	"netng_pod_chaos":      "after-flush:2 after-change:2 during-undo:2 before-rename:2",
	"netng_pod_filter":     "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1",
	"node_block":           "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1 after-change:2,before-rename:1",
	"node_crash":           "after-flush:2 after-change:2 before-rename:2",
	"node_kubelet":         "after-flush:2 after-change:2 before-rename:2 after-change:2,before-rename:1",
	"node_stop":            "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:1,during-undo:1 after-change:2,before-rename:1",
	"netng_vmi_filter":     "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1",
	"outage":               "after-change:1,during-undo:1 after-change:1,before-rename:1",
	"podnetwork":           "after-flush:3 after-change:3 during-undo:2 before-rename:3 after-change:2,during-undo:1",
	"poddisruption":        "after-flush:2 after-change:3 before-rename:2 after-change:1,during-undo:1 after-change:1,before-rename:1",
	"pvc":                  "after-change:1,during-undo:1 after-change:1,before-rename:1",
	"servicedisruption":    "after-flush:3 after-change:3 after-change:6 during-undo:4 before-rename:3 after-change:6,during-undo:4 after-change:6,before-rename:3",
	"shutdown":             "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:1,during-undo:1 after-change:1,before-rename:1",
	"throttle":             "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1 after-change:2,before-rename:1",
	"time":                 "after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:2,during-undo:1",
	"zone_aws":             "before-flush:2 after-flush:2 after-change:2 during-undo:2 before-rename:2 after-change:1,during-undo:1 after-change:1,before-rename:1 after-change:2,during-undo:1 after-change:2,before-rename:1 after-change:2,before-rename:2",
	"zone_gcp":             "after-change:1,during-undo:1",
}

// onlyWait are those whose undo changes nothing, since there is nothing to take back: they never come
// to during-undo.
var onlyWait = []string{"node_reboot", "node_termination"}

// signalledPoints are where every scenario's run gets a signal that can be heard, with
// EBB_MATRIX=all too. TestSignalMatrix does more of it to one scenario.
const signalledPoints = "term@before-flush:1 term@rehearsal:1 int@rehearsal:2 term@effect-seen:1 int@after-flush:1 term@after-change:1 hup@after-change:1 int@during-undo:1 term@before-rename:1 int@after-change:1,int@during-undo:1"

// TestKillMatrix kills a run of every scenario at every point that matters, replays, and
// finds the world as it was. The points are exact, so that a hole in the order of writing and
// changing shows each time; TestKillAtRandom looks for those that nobody thought of.
func TestKillMatrix(t *testing.T) {
	t.Parallel()
	cells, killed := matrix(t), 0
	for _, files := range cells {
		killed += len(files)
	}
	t.Logf("figures: %d scenarios, each killed or signalled at one of %d points", killed, len(cells))
	for cell, files := range cells {
		run, replay, twice := strings.Cut(cell, ",")
		if strings.Contains(cell, "@") {
			run, replay, twice = cell, "", false // both signals are the run's
		}
		t.Run(cell, func(t *testing.T) {
			t.Parallel()
			params := scriptParams(t)
			params.Files = files
			setup, condition := params.Setup, params.Condition
			params.Setup = func(env *testscript.Env) error {
				env.Setenv("POINT", run)
				env.Setenv("REPLAY", replay)
				return setup(env)
			}
			params.Condition = func(name string) (bool, error) {
				switch name {
				case "changed": // the run is killed when something was changed, and nothing undone
					return strings.HasPrefix(run, "after-change:") || strings.HasPrefix(run, "effect-seen:"), nil
				case "replay": // the first replay is killed too
					return twice, nil
				}
				return condition(name)
			}
			params.Cmds["atpoint"] = cmdAtPoint
			params.Cmds["ending"] = cmdEnding
			testscript.Run(t, params)
		})
	}
}

// matrix returns the scripts by where they are killed.
func matrix(t *testing.T) map[string][]string {
	files := scriptFiles(t, "../../testdata/matrix", racedScenarios)
	cells, unused := map[string][]string{}, maps.Clone(morePoints)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		delete(unused, name)
		wanted := points
		if os.Getenv("EBB_MATRIX") == "all" {
			wanted += " " + morePoints[name] + " " + signalledPoints + " " + provingPoints
		} else if name == quick {
			wanted += " " + provingPoints
		}
		for _, cell := range strings.Fields(wanted) {
			if strings.Contains(cell, "during-undo") && slices.Contains(onlyWait, name) {
				continue
			}
			cells[cell] = append(cells[cell], file)
		}
	}
	if len(unused) > 0 && !selected() {
		t.Fatalf("testdata/matrix has no scripts %q", slices.Sorted(maps.Keys(unused)))
	}
	return cells
}

// atpoint POINT COMMAND ARG... runs a command that is killed when it passes a point, or gets
// another signal there: SIGNAL@POINT, as EBB_KILL_AT has it. One that never passes it would
// test nothing, so that is a failure. After a signal the exit code has to be the truth.
func cmdAtPoint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: atpoint POINT COMMAND ARG...")
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	ts.Setenv("EBB_KILL_AT", args[0])
	got := codeOf(ts.Exec(path, args[2:]...))
	ts.Setenv("EBB_KILL_AT", "")
	var want []string
	switch signalled := strings.Contains(args[0], "@"); {
	case !signalled:
		want = []string{"killed"}
	case strings.Contains(args[0], ","):
		want = []string{"3"}
	case strings.Contains(args[0], "@before-rename"):
		want = []string{"130", "0"} // nothing may be left to be done
	default:
		want = []string{"130", "3"} // a request that was cut off takes longer to settle than some have grace
	}
	if !slices.Contains(want, got) {
		ts.Fatalf("%s ended with %s, want %s: did it come to %s?", args[1], got, want, args[0])
	}
	pending, err := filepath.Glob(filepath.Join(ts.Getenv("VERSIONS"), "*", "*.star"))
	ts.Check(err)
	if got == "3" && len(pending) == 0 || (got == "130" || got == "0") && len(pending) > 0 {
		ts.Fatalf("%s ended with %s, and %q is pending", args[1], got, pending)
	}
}

// ending KIND PATTERN has all objects whose whole names match end by themselves from now
// on: the sandbox knows by itself only the pods that say how long they run in plain seconds.
func cmdEnding(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ending KIND PATTERN")
	}
	objects := dynamicClient(ts).Resource(kindOf(ts, args[0])).Namespace(ts.Getenv("NS"))
	ctx, cancel := context.WithCancel(context.Background())
	events, err := objects.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		cancel()
		ts.Fatalf("watch %s: %v", args[0], err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range events.ResultChan() {
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok || event.Type != watch.Added || !whole(args[1]).MatchString(object.GetName()) {
				continue
			}
			patch := []byte(`{"metadata":{"annotations":{"sandbox/complete-after":"1s"}}}`)
			// One that is gone already has ended too.
			if _, err := objects.Patch(ctx, object.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
				testOf(ts).Logf("annotate %s: %v", object.GetName(), err) // the script's own log is not for two
			}
		}
	}()
	ts.Defer(func() {
		events.Stop()
		cancel()
		<-done
	})
}
