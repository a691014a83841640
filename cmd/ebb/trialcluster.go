package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/internal/snapshot"
	"github.com/ebb-chaos/ebb/versions"
)

// comparePause is the pause between two comparisons while the cluster differs from before.
const comparePause = 250 * time.Millisecond

// openCluster opens the cluster, and finds out what can be compared. A scenario that needs no
// rights needs no cluster.
func (t *trial) openCluster() error {
	t.inCloud, t.scope.Objects = map[string]bool{}, map[string]bool{}
	if len(t.script.Rights) == 0 {
		return nil
	}
	client, err := t.setup.openTarget(&t.options.commonOptions)()
	if err != nil {
		return &usageError{err: err}
	}
	t.client = client
	return nil
}

// snapshot reads the cluster before anything is changed. It reads all namespaces, as it is not
// known yet which ones the scenario will change.
func (t *trial) snapshot() error {
	if t.client == nil {
		return nil
	}
	var resources []string
	for _, right := range t.script.Rights {
		resources = append(resources, right.Resource)
	}
	kinds, unknown := snapshot.Kinds(t.ctx, t.client, resources)
	kinds, not, err := snapshot.Listable(t.ctx, t.client, kinds)
	if err != nil {
		return err
	}
	t.kinds, t.unseen = kinds, append(unknown, not...)
	t.before, err = snapshot.Take(t.ctx, t.client, t.kinds, nil)
	return err
}

// compare ends a step: nothing may be pending, and the cluster must soon be as it was before.
func (t *trial) compare(step *trialStep) error {
	if left := t.left(step.RunUUID); left != "" {
		return t.fail(step, left)
	}
	if t.before == nil || len(t.scope.Namespaces)+len(t.scope.Objects) == 0 {
		return t.end(step)
	}
	for deadline := time.Now().Add(t.options.Settle); ; {
		now, err := snapshot.Take(t.ctx, t.client, t.kinds, t.scope.Namespaces)
		if err != nil {
			return err
		}
		step.Differences = t.before.Differences(now, t.scope)
		if len(step.Differences) == 0 {
			return t.end(step)
		}
		if time.Now().After(deadline) {
			return t.fail(step, fmt.Sprintf("the cluster is not as before, %s after the undo", t.options.Settle))
		}
		if err := patience.Sleep(t.ctx, comparePause); err != nil {
			return err
		}
	}
}

// left says what is still pending of a run, "" for nothing.
func (t *trial) left(run string) string {
	if run == "" {
		return ""
	}
	listing, err := t.setup.store.List(t.ctx, versions.Filter{RunUUID: run, PendingOnly: true})
	if err != nil {
		return fmt.Sprintf("whether anything is pending is not known: %v", err)
	}
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if f.Replayable() {
				return f.Location + " is still pending"
			}
		}
	}
	return ""
}

// pendingLeft counts the pending files of all runs of the trial.
func (t *trial) pendingLeft() (int, error) {
	count := 0
	for _, run := range t.runs {
		// This still works after a signal has ended the trial.
		ours, _, err := versions.CountPending(context.WithoutCancel(t.ctx), t.setup.store.Store, versions.Filter{RunUUID: run})
		if err != nil {
			return count, err
		}
		count += ours
	}
	return count, nil
}

// tidy removes the executed files of a trial that passed.
func (t *trial) tidy() error {
	var errs []error
	for _, run := range t.runs {
		_, err := versions.Cleanup(context.WithoutCancel(t.ctx), t.setup.store, versions.CleanupOptions{RunUUID: run})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// compared describes what was compared.
func (t *trial) compared() []string {
	var kinds, all []string
	for _, r := range t.kinds {
		if r.Namespaced {
			kinds = append(kinds, r.Plural)
		}
	}
	slices.Sort(kinds)
	slices.Sort(t.scope.Namespaces)
	if len(t.scope.Namespaces) > 0 {
		all = append(all, fmt.Sprintf("%s in namespace %s", strings.Join(kinds, ", "), strings.Join(t.scope.Namespaces, ", ")))
	}
	return append(all, slices.Sorted(maps.Keys(t.scope.Objects))...)
}

// notCompared describes what was not compared, and why.
func (t *trial) notCompared() []string {
	all := slices.Clone(t.unseen)
	for _, ref := range slices.Sorted(maps.Keys(t.inCloud)) {
		all = append(all, ref+": in a cloud, where only the scenario's own verify looks")
	}
	return all
}

// unlisted records an object that a version file names but that no snapshot contains, because the
// scenario declares no right on its kind.
func (t *trial) unlisted(ref builtins.Ref) {
	known := slices.ContainsFunc(t.kinds, func(r kube.Resource) bool { return r.Kind == ref.Kind })
	text := ref.Kind + ": the scenario declares no right on it, or it can't be listed"
	if !known && !slices.Contains(t.unseen, text) {
		t.unseen = append(t.unseen, text)
	}
}
