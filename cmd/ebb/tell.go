package main

import (
	"context"
	"fmt"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/event"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// mostEvents limits the Events of one execution: it may have thousands of pods.
const mostEvents = 20

// tell announces once that the runner of an execution is dead: in the log, and with Events on the
// objects that it left changed.
func (w *watcher) tell(ctx context.Context, x clusterstore.Sight) {
	if w.told[x.ID] {
		return
	}
	w.told[x.ID] = true
	w.log.Warn(fmt.Sprintf("the runner of %s is dead: it was %s; %d version file(s) are pending", x.ID, holderText(x), len(x.Files)), "run_uuid", x.RunUUID)
	events := 0
	for _, ref := range w.undoes(ctx, x) {
		if !ref.InCluster() {
			w.log.Warn(fmt.Sprintf("%s left %s in a cloud: whether it can be undone from here is known when it is tried", x.ID, ref.Text()))
			continue
		}
		if events++; events > mostEvents {
			w.log.Info(fmt.Sprintf("%s left more objects than %d, of which no Event tells", x.ID, mostEvents))
			return
		}
		if err := w.event(ctx, x, ref); err != nil {
			w.log.Warn(fmt.Sprintf("no Event on %s: %v", ref.Text(), err))
		}
	}
}

// undoes returns the objects that the pending files of an execution undo. It skips files if it is
// not proven that a runner wrote them.
func (w *watcher) undoes(ctx context.Context, x clusterstore.Sight) []builtins.Ref {
	r, err := runner.New(w.store, runner.Options{})
	if err != nil {
		w.log.Warn(err.Error())
		return nil
	}
	var refs []builtins.Ref
	for _, f := range x.Files {
		content, err := w.store.Read(ctx, f)
		if err != nil {
			w.log.Warn(fmt.Sprintf("what it undoes is not known: %v", err))
			continue
		}
		if v, ok := r.Header(content); ok {
			refs = append(refs, v.Undoes...)
		}
	}
	return refs
}

// event creates an Event about an object of the cluster that the scenario changed.
func (w *watcher) event(ctx context.Context, x clusterstore.Sight, ref builtins.Ref) error {
	client, err := w.target()
	if err != nil {
		return err
	}
	return event.Write(ctx, client, event.Event{
		Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name,
		Type: event.Warning, Reason: "ChaosNotRestored", Component: "ebb-watch", Run: x.RunUUID,
		Message: fmt.Sprintf("run %s changed this, and its runner is dead: %s", x.RunUUID, holderText(x)),
	})
}
