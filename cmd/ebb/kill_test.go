package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// lateLimit is how long after a kill a request of the dead process can still land.
const lateLimit = requestTime * 3 / 2

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
	k := &killing{stages: map[string]int{}}
	nothingLate := atRandom(t, "kill", kills, killsAtATime, seed, k.one)
	t.Logf("figures: %d kills survived: %v", kills, k.stages)
	// What was on its way when its sender died has landed by now, or never will.
	nothingLate(lateLimit)
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

// killing is what the kills of a test share.
type killing struct {
	mu     sync.Mutex
	stages map[string]int // what was there when a run was killed, and how often
}

// one starts a run, kills it, looks, replays and looks again.
func (k *killing) one(t *testing.T, namespace string, random *rand.Rand) {
	w := newWorld(t, namespace, sandboxtest.Kubeconfig(t), "application_outages_scenarios: [outage.yaml]", "steps_scenarios: [steps.yaml]", "hog_scenarios: [hog.yaml]")
	addApplication(w)
	w.write("outage.yaml", "application_outage: {namespace: %s, duration: 0}\n", namespace)
	w.write("steps.yaml", "{namespace: %s, steps: [one, two, three]}\n", namespace)
	w.write("hog.yaml", "{hog-type: cpu, namespace: %s, duration: 1, node-selector: node-role.kubernetes.io/worker=}\n", namespace)

	stage := w.killRun(random)

	k.mu.Lock()
	k.stages[fmt.Sprintf("%s with %d pending file(s), %d object(s)", stage, len(w.pending()), len(w.objects()))]++
	k.mu.Unlock()
	w.checkNamed()
	for file := range w.pending() {
		if code, said := w.ebb("", "check-rollback", file); code != "0" {
			t.Errorf("check-rollback %s: exit code %s:\n%s", file, code, said)
		}
	}

	// Every other replay is killed as well: it can be repeated.
	if random.IntN(2) == 0 {
		w.killReplay(time.Duration(random.Int64N(int64(200 * time.Millisecond))))
	}
	w.replay()
	if code, said := w.ebb("", "list-rollback", "--config", "config.yaml", "--pending"); code != "0" || strings.Contains(said, ".star") {
		t.Errorf("list-rollback --pending: exit code %s:\n%s", code, said)
	}
}

// killRun kills a run at a random instant: any at all, or shortly after some of its
// files were written or undone, where most is going on.
func (w *world) killRun(random *rand.Rand) (stage string) {
	run := w.start("", "run", "--config", "config.yaml")
	lines, shortly := random.IntN(15), time.Duration(random.Int64N(int64(10*time.Millisecond)))
	instant := make(chan time.Time, 1)
	if random.IntN(3) == 0 {
		stage = "at any time"
		time.AfterFunc(time.Duration(random.Int64N(int64(1500*time.Millisecond))), func() { instant <- time.Now() })
	} else {
		stage = fmt.Sprintf("after %d journal lines", lines)
		go func() {
			for w.journalLines() < lines {
				select {
				case <-run.ended:
					return
				case <-time.After(time.Millisecond):
				}
			}
			time.Sleep(shortly)
			instant <- time.Now()
		}()
	}
	select {
	case <-run.ended:
		if run.err != nil {
			w.Errorf("the run failed before it was killed: %v\n%s", run.err, w.said(run))
		}
		return "not at all"
	case <-instant:
		w.kill(run)
	}
	return stage
}

// killReplay kills a replay some time after its start.
func (w *world) killReplay(after time.Duration) {
	replay := w.start("", "execute-rollback", "--config", "config.yaml")
	time.Sleep(after)
	w.kill(replay)
}

// kill kills a process that may be at its end.
func (w *world) kill(p *running) {
	if err := p.Process.Kill(); err != nil {
		w.Log(err) // it ended by itself just now
	}
	if code := w.finish(p); code != "0" && code != "killed" {
		w.Errorf("%q failed before it was killed, with %s:\n%s", p.Args, code, w.said(p))
	}
}
