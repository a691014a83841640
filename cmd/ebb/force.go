package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ebb-chaos/ebb/runner"
)

// runForceConflict undoes one file even if somebody else has changed its objects since. It shows
// first what that would do. An object that is changed after that is left alone.
func runForceConflict(ctx context.Context, o executeOptions) error {
	o.force = o.Force
	s, err := load(&o.commonOptions, o.readIfNamed)
	if err != nil {
		return err
	}
	store, file, err := s.locate(ctx, &o.commonOptions, o.ForceConflict)
	if err != nil {
		return err
	}
	s.store = store
	if !file.Replayable() {
		return &usageError{err: fmt.Errorf("%q is no pending version file of ebb", file.Location), hints: []string{s.next("show-rollback", file.Location)}}
	}
	s.again = s.next("execute-rollback", replayWords(o.KeepGoing, o.Force, "--force-conflict", file.Location)...)
	v, err := s.superviseReplay(ctx, &o.commonOptions, o.timeOptions, o.Force)
	if err != nil {
		return err
	}
	defer v.stop()
	options := runner.ReplayOptions{DryRun: true, KeepGoing: o.KeepGoing, TakeOver: true}
	plan, err := v.ReplayFile(v.ctx, file, options)
	if err != nil || o.DryRun || !planned(plan) {
		return v.replayed(plan, err, o.Output)
	}
	if o.Output == "text" {
		if err := s.printText(plan); err != nil {
			return &untriedError{err}
		}
	}
	s.log.Info(planSummary(plan))
	if !o.Yes && onTerminal() {
		if yes, err := v.confirm("Overwrite what somebody else changed?"); err != nil || !yes {
			return err
		}
	}
	options.DryRun, options.Expected = false, shownVersions(plan)
	report, err := v.ReplayFile(v.ctx, file, options)
	return v.replayed(report, err, o.Output)
}

// shownVersions returns the resource versions of the objects in a plan, by the names that the plan
// uses.
func shownVersions(plan *runner.Report) map[string]string {
	shown := map[string]string{}
	for _, x := range plan.Results {
		for _, c := range x.Changes {
			if _, ok := shown[c.Object]; ok {
				continue // a later change of the plan sees the result of an earlier one
			}
			var object struct {
				Metadata struct {
					ResourceVersion string `json:"resourceVersion"`
				} `json:"metadata"`
			}
			if len(c.Before) == 0 || json.Unmarshal(c.Before, &object) == nil {
				shown[c.Object] = object.Metadata.ResourceVersion
			}
		}
	}
	return shown
}
