package runner

import (
	"context"
	"errors"
	"io/fs"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// gone is the outcome of a file that somebody else finished while it was planned for.
const gone Outcome = ""

// plan says what undoing a file would do. Nothing is changed, and nothing is written.
func (p *replayer) plan(ctx context.Context, x source, f versions.File) Result {
	result := Result{File: f, RunUUID: x.RunUUID(), Outcome: Planned}
	err := error(nil)
	if lost := p.Lost[f.Key()]; lost != nil {
		err = lost
	} else {
		err = p.planContent(ctx, x, f, &result)
	}
	if errors.Is(err, fs.ErrNotExist) && KindOf(err) == KindFile {
		return Result{Outcome: gone}
	}
	if err != nil {
		result.Outcome, result.Err = outcomeOf(err), err
	}
	p.finished(result)
	return result
}

func (p *replayer) planContent(ctx context.Context, x source, f versions.File, result *Result) error {
	content, err := x.Read(ctx, f)
	if err != nil {
		return err
	}
	defer p.watch(f)()
	file, err := p.admit(ctx, x, f, content, result)
	if err != nil {
		return err
	}
	s := p.undoSession(builtins.Plan, file, nil)
	s.TakeOver = p.TakeOver
	var seen touched
	if result.Integrity == versions.Edited {
		s.Observe = seen.observe
	}
	err = p.callFile(ctx, s, file.callable, file.content)
	result.Changes = s.Planned()
	for _, change := range result.Changes {
		result.Actions = append(result.Actions, change.Text)
	}
	if err != nil {
		return err
	}
	if s.Observe != nil {
		if err := seen.check(file, len(result.Actions)); err != nil {
			return err
		}
	}
	if len(result.Actions) == 0 {
		result.Actions = s.AlreadyRestored()
	}
	return nil
}

// admit loads a file and refuses one that must not be replayed. Replays and plans ask it.
func (p *replayer) admit(ctx context.Context, x source, f versions.File, content []byte, result *Result) (*versionFile, error) {
	result.Integrity = versions.IntegritySince(content, p.journaled.flushed[f.Key()])
	file, err := p.load(ctx, f.Location, content)
	if err != nil {
		return nil, err
	}
	result.Undoes = file.Undoes
	file.log = p.fileLog(x, f).With("objects", file.objects())
	return file, p.checkOrigin(file, result)
}
