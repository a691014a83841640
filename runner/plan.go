package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/versions"
)

// gone is the outcome of a file that somebody else finished while it was planned for.
const gone Outcome = ""

// plan says what undoing a file would do. Nothing is changed, and nothing is written.
func (p *replayer) plan(ctx context.Context, x source, f versions.File) Result {
	result := p.try(x, f, Planned, func(result *Result) error {
		return p.withFile(ctx, x, f, result, func(file *versionFile) error { return p.planCall(ctx, file, result) })
	})
	if errors.Is(result.Err, fs.ErrNotExist) && KindOf(result.Err) == KindFile {
		return Result{Outcome: gone}
	}
	p.finished(result)
	return result
}

// planCall calls a file's callable for what it would change.
func (p *replayer) planCall(ctx context.Context, file *versionFile, result *Result) error {
	s := p.undoSession(builtins.Plan, file, nil)
	s.TakeOver, s.Beliefs, s.Absences = p.TakeOver, p.beliefs, &builtins.Absences{}
	var seen touched
	if result.Integrity == versions.Edited {
		s.Observe = seen.observe
	}
	err := p.callFile(ctx, s, file.callable, file.content)
	result.Changes = s.Planned()
	for _, change := range result.Changes {
		result.Actions = append(result.Actions, change.Text)
	}
	if err != nil {
		return err
	}
	if s.Observe != nil {
		if err := p.checkTouched(ctx, &seen, file, result.File.Key(), len(result.Actions)); err != nil {
			return err
		}
		if p.purposeLost(file, result.File) {
			defer func() { result.Actions = append(result.Actions, purposeUnknown) }()
		}
	}
	if len(result.Actions) > 0 {
		return nil
	}
	result.Actions = s.AlreadyRestored()
	return p.planVerify(ctx, file, result)
}

// planVerify looks whether the verify of a file that changes nothing would pass. A replay calls it
// until it does, or until the file's time is over.
func (p *replayer) planVerify(ctx context.Context, file *versionFile, result *Result) error {
	if file.verify == nil {
		return nil
	}
	err := p.callFile(ctx, p.undoSession(builtins.Verify, file, nil), file.verify, file.content)
	var catchable engine.Catchable
	if err == nil || ctx.Err() != nil || !errors.As(err, &catchable) || isFinal(err) {
		return err
	}
	result.Actions = append(result.Actions, fmt.Sprintf("wait until it is verified, at most %s: now it is not: %v", p.options.FileTimeout, err))
	return nil
}

// try does something with a file, unless its code has ended a process before. outcome is that of
// success; do may set another.
func (p *replayer) try(x source, f versions.File, outcome Outcome, do func(*Result) error) Result {
	began := time.Now()
	result := Result{File: f, RunUUID: x.RunUUID(), Outcome: outcome}
	if lost := p.Lost[f.Key()]; lost != nil {
		result.Err = lost
	} else {
		result.Err = do(&result)
	}
	if result.Err != nil && result.Outcome != StillPending {
		result.Outcome = outcomeOf(result.Err)
	}
	result.Took = time.Since(began)
	return result
}

// withFile reads and admits a file, and does something with it.
func (p *replayer) withFile(ctx context.Context, x source, f versions.File, result *Result, do func(*versionFile) error) error {
	content, err := x.Read(ctx, f)
	if err != nil {
		return err
	}
	defer p.watch(f)()
	file, err := p.admit(ctx, x, f, content, result)
	if err != nil {
		return err
	}
	return do(file)
}

// admit loads a file and refuses one that must not be replayed. Replays and plans ask it.
func (p *replayer) admit(ctx context.Context, x source, f versions.File, content []byte, result *Result) (*versionFile, error) {
	result.Integrity = versions.IntegritySince(content, p.journaled.flushed[f.Key()])
	file, err := p.load(ctx, f.Location, content)
	if err != nil {
		return nil, err
	}
	result.Undoes = file.Undoes
	file.purpose = purposeIn(content)
	if result.Integrity == versions.Unsealed && file.purpose != "" {
		result.Integrity = versions.Edited // ebb wrote it, and seals what it writes
	}
	file.log = p.fileLog(x, f).With("objects", file.objects())
	if err := p.checkOrigin(file, result); err != nil {
		return nil, err
	}
	if result.Integrity == versions.Edited {
		return file, p.checkPurpose(file, f)
	}
	return file, nil
}
