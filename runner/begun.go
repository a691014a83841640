package runner

import (
	"context"
	"fmt"

	"github.com/ebb-chaos/ebb/versions"
)

// A file is renamed or removed after it was undone and verified, and its result is reported after
// that. If a process dies between the two, the next one reports the result.

// renamedUnreported reports whether a process has renamed a file and died before it reported that.
func (p *replayer) renamedUnreported(f versions.File) bool {
	begun, ok := p.Begun[f.Key()]
	return ok && begun.State == versions.Pending && f.State == versions.Executed && !p.DryRun
}

// renamedOrRemoved are the results of such files of a run's execution. A run also removes files.
func (p *replayer) renamedOrRemoved(ctx context.Context, x versions.Execution) []Result {
	files, err := x.Files(ctx)
	if err != nil {
		return nil // the process that undoes the rest reports it
	}
	now := map[string]versions.File{}
	for _, f := range files {
		now[f.Key()] = f
	}
	var results []Result
	for key, begun := range p.Begun {
		f, there := now[key]
		switch {
		case begun.Execution != x.ID(): // of another execution: only its header was read
		case !there:
			results = append(results, p.restoredBefore(ctx, x.RunUUID(), begun))
		case p.renamedUnreported(f):
			results = append(results, p.restoredBefore(ctx, x.RunUUID(), f))
		}
	}
	return results
}

// restoredBefore is the result of a file that an earlier process has restored without reporting it.
// This process reports it instead.
func (p *replayer) restoredBefore(ctx context.Context, runUUID string, f versions.File) Result {
	result := Result{File: f, RunUUID: runUUID, Outcome: AlreadyRestored}
	p.executionLog(runUUID, f.Execution).Info(
		fmt.Sprintf("%s was restored by a process that ended before it said so", f.Location), "file", f.Name, "outcome", result.Outcome)
	if p.journaled.suspects[f.Key()] { // the journal has no outcome either
		p.journal(ctx, f, runUUID, versions.Entry{
			Event: versions.EventOutcome, Outcome: string(result.Outcome), Message: "by a process that ended before it said so",
		})
	}
	p.finished(result)
	return result
}
