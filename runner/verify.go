package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// verifyPending verifies all selected files.
func (p *replayer) verifyPending(ctx context.Context) (*Report, error) {
	listing, err := p.store.List(ctx, versions.Filter{RunUUID: p.RunUUID, ScenarioType: p.ScenarioType})
	if err != nil {
		return nil, err
	}
	for _, problem := range listing.Problems {
		p.options.Log.Warn(fmt.Sprintf("%s: %s", problem.Location, problem.What))
	}
	if p.RunUUID != "" && len(listing.Executions) == 0 {
		if err := p.knownRun(ctx, p.RunUUID); err != nil {
			return nil, err
		}
	}
	p.journaled = p.readJournal(ctx)
	return &Report{Results: p.verifyAll(ctx, listing.Executions), Interrupted: ctx.Err() != nil}, nil
}

// verifyAll calls the verify of files in any state. It changes neither the cluster nor the store.
// Executions that are in use are skipped, because their changes should exist now.
func (p *replayer) verifyAll(ctx context.Context, executions []versions.ExecutionInfo) []Result {
	var results []Result
	for _, info := range executions {
		busy := p.store.Busy(ctx, info.ID)
		if errors.Is(busy, fs.ErrNotExist) {
			continue
		}
		for _, f := range info.Files {
			if f.Kind != versions.KindVersion || !p.only(f) {
				continue
			}
			result, tried := p.Tried[f.Key()]
			switch {
			case tried:
			case ctx.Err() != nil:
				result = Result{File: f, RunUUID: info.RunUUID, Outcome: Blocked, Err: &notBegunError{ctx.Err()}}
			case busy != nil:
				result = Result{File: f, RunUUID: info.RunUUID, Outcome: outcomeOf(busy), Err: busy}
			default:
				result = p.verifyFile(ctx, look{info, p.store}, f)
			}
			results = append(results, result)
		}
	}
	return results
}

// verifyFile calls the verify of a file once. Unlike after an undo, there is nothing to wait for.
func (p *replayer) verifyFile(ctx context.Context, x source, f versions.File) Result {
	result := p.try(x, f, Verified, func(result *Result) error {
		return p.withFile(ctx, x, f, result, func(file *versionFile) error {
			if file.verify == nil {
				return fmt.Errorf("%s: has no %s: whether it is restored is not known", f.Location, nameVerify)
			}
			s := p.undoSession(builtins.Verify, file, nil)
			if err := p.callFile(ctx, s, file.verify, file.content); err != nil {
				return err
			}
			if unseen := s.NotObserved(); len(unseen) > 0 {
				result.Outcome, result.Actions = NotObserved, unseen
			}
			return nil
		})
	})
	p.finished(result)
	return result
}
