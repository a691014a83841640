package runner

import (
	"fmt"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/event"
)

// The reasons of Kubernetes Events.
const (
	reasonChanged  = "ChaosChanged"
	reasonRestored = "ChaosRestored"
)

// flushLimit bounds the wait for Events at the end of a run or a replay.
const flushLimit = time.Second

// component is what Events name as their source.
const component = "ebb"

// changedEvent writes an Event about a change of a scenario.
func (x *scenarioRun) changedEvent(verb string, ref builtins.Ref, id builtins.Identity) {
	x.runner.event(ref, id, event.Event{
		Type: event.Warning, Reason: reasonChanged, Run: x.runUUID,
		Message: fmt.Sprintf("chaos: scenario %s (%s) of run %s: %s; ebb will undo it", x.scenario.Path, x.scenario.Type, x.runUUID, verb),
	})
}

// restoredEvents write Events on all objects that a file undoes, once it is undone and verified. An
// object that was gone before gets none: nobody would see it, and it would cost as much as the
// undo.
func (r *Runner) restoredEvents(file *versionFile, outcome Outcome, run string, s *builtins.Session) {
	for _, ref := range file.Undoes {
		id := s.Identity(ref)
		if outcome == AlreadyRestored && id == (builtins.Identity{}) {
			continue
		}
		r.event(ref, id, event.Event{
			Type: event.Normal, Reason: reasonRestored, Run: run,
			Message: fmt.Sprintf("what scenario %s (%s) of run %s changed: %s", file.Scenario, file.ScenarioType, run, outcome),
		})
	}
}

func (r *Runner) event(ref builtins.Ref, id builtins.Identity, e event.Event) {
	if !ref.InCluster() {
		return
	}
	e.APIVersion, e.UID = id.APIVersion, id.UID
	e.Kind, e.Namespace, e.Name, e.Component = ref.Kind, ref.Namespace, ref.Name, component
	r.events.Tell(e)
}
