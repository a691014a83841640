package runner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"go.starlark.net/starlark"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/limits"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/versions"
)

// undo replays one file of a locked execution. It never returns before the file's
// name says what happened.
func (p *replayer) undo(ctx context.Context, x versions.Execution, f versions.File) Result {
	log := p.fileLog(x, f)
	log.Info("Executing rollback version file: " + f.Location)
	var sha string
	result := p.try(x, f, Unverified, func(result *Result) (err error) {
		ours, free := held(ctx, x)
		sha, err = p.undoContent(ours, x, f, result)
		free()
		switch lost := lostTo(x); {
		case err != nil && lost != nil:
			return lost
		case err != nil:
			return err
		}
		return p.finish(ctx, x, result)
	})
	if result.Err != nil {
		log.Error(fmt.Sprintf("Failed to execute rollback version file %s: %v", f.Location, result.Reason()), "outcome", result.Outcome)
	} else {
		log.Info(fmt.Sprintf("Executed %s successfully.", f.Location), "outcome", result.Outcome)
		switch {
		case p.then == remove:
			log.Info(fmt.Sprintf("Removed %s successfully.", f.Location))
		case f.Location != result.File.Location:
			log.Info(fmt.Sprintf("Renamed %s to %s successfully.", f.Location, result.File.Location))
		}
	}
	p.journal(ctx, f, x.RunUUID(), versions.Entry{
		Event: versions.EventOutcome, SHA256: sha, Integrity: result.Integrity, Outcome: string(result.Outcome), Message: text(result.Err),
	})
	p.finished(result)
	return result
}

// how is what the journal says of an attempt that is not like others.
func (p *replayer) how() string {
	if p.TakeOver {
		return "what somebody else changed since is taken over"
	}
	return ""
}

// fileLog makes lines that say which file they are about.
func (r *Runner) fileLog(x source, f versions.File) *slog.Logger {
	return r.options.Log.With("run_uuid", x.RunUUID(), "execution", x.ID(), "file", f.Name, "scenario_type", f.ScenarioType)
}

// undoContent does the undoing, and sets the outcome of what was verified. It returns the
// SHA-256 of what it replayed.
func (p *replayer) undoContent(ctx context.Context, x versions.Execution, f versions.File, result *Result) (sha string, err error) {
	content, err := x.Read(ctx, f)
	if err != nil {
		return "", err
	}
	sha = versions.Digest(content)
	// Before the file is even parsed: if it takes the process down, the journal says which it was.
	p.journal(ctx, f, x.RunUUID(), versions.Entry{
		Event: versions.EventAttempt, SHA256: sha, Integrity: versions.IntegritySince(content, p.journaled.flushed[f.Key()]),
		Message: p.how(),
	})
	defer p.watch(f)()
	file, err := p.admit(ctx, x, f, content, result)
	if err != nil {
		return sha, err
	}
	if result.Integrity == versions.Edited {
		file.log.Info(fmt.Sprintf("%s was edited since it was written", f.Location))
	}
	marks, err := x.InFlight(ctx)
	if err != nil {
		return sha, err
	}
	s := p.undoSession(builtins.Undo, file, marks)
	s.Mark, s.Permit = marker(x), permitOf(x, true)
	s.TakeOver, s.Expected = p.TakeOver, p.Expected
	s.Absences = &builtins.Absences{}
	s.Changed = func() { p.reach(DuringUndo) }
	var seen touched
	if result.Integrity == versions.Edited {
		s.Observe = seen.observe
	}
	p.reach(BeforeUndo)
	file.log.Info("Executing rollback callable...")
	if err := p.callFile(ctx, s, file.callable, file.content); err != nil {
		return sha, err
	}
	if s.Observe != nil {
		if err := p.checkTouched(ctx, &seen, file, f.Key(), s.Changes()); err != nil {
			return sha, err
		}
	}
	if file.verify != nil {
		// The callable may have left some: what it made and removed again can come back.
		if marks, err = x.InFlight(ctx); err != nil {
			return sha, err
		}
		if err := p.verify(ctx, file, marks, s.Absences); err != nil {
			return sha, err
		}
		result.Outcome = Restored
		if s.Changes() == 0 && len(s.AlreadyRestored()) > 0 {
			result.Outcome = AlreadyRestored
		}
	} else {
		file.log.Warn(fmt.Sprintf("%s has no %s: the result was not checked", f.Location, nameVerify))
	}
	p.restoredEvents(file, result.Outcome, result.RunUUID, s)
	file.log.Info("Rollback completed.")
	return sha, nil
}

// checkOrigin refuses a file that stands in another one's place: it may well undo something,
// and what the other one would have undone would be forgotten.
func (r *Runner) checkOrigin(file *versionFile, result *Result) error {
	var err error
	switch {
	case file.RunUUID != "" && file.RunUUID != result.RunUUID:
		err = fmt.Errorf("it is a file of run %s, which replaced one of run %s", file.RunUUID, result.RunUUID)
	case result.Integrity == versions.Replaced:
		err = errors.New("it is not the file that ebb wrote under this name: it was replaced")
	default:
		return nil
	}
	if r.options.Force {
		file.log.Warn(fmt.Sprintf("%s: %v", result.File.Location, err))
		return nil
	}
	return &RefusedError{Kind: KindReplaced, Err: err}
}

// undoSession is for a version file's functions.
func (r *Runner) undoSession(mode builtins.Mode, file *versionFile, marks []versions.Mark) *builtins.Session {
	s := &builtins.Session{
		Mode: mode, Log: file.log, Progress: r.options.Progress,
		RunUUID: file.RunUUID, ScenarioType: file.ScenarioType,
		GCP: r.outside.gcp, AWS: r.outside.aws, Waiting: r.outside.recovery.Waiting,
	}
	s.Cluster = func(ctx context.Context) (*kube.Client, error) { return r.clusterFor(ctx, file) }
	now := time.Now()
	for _, m := range marks {
		s.Unsettled = append(s.Unsettled, builtins.Unsettled{
			Verb: m.Verb, Ref: builtins.Ref{Kind: m.Kind, Name: m.Name, Namespace: m.Namespace}, Until: now.Add(m.Left(now)),
		})
	}
	return s
}

// callFile calls a function of a version file within the time that a file has.
func (r *Runner) callFile(ctx context.Context, s *builtins.Session, fn *starlark.Function, content starlark.Value) error {
	ctx, cancel := withAllowance(ctx, r.options.FileTimeout, r.outside.waited)
	defer cancel()
	for pause := firstRepeat; ; pause *= 2 {
		_, err := r.call(ctx, s, fn, content)
		if !apierrors.IsConflict(err) || pause > lastRepeat || patience.Sleep(ctx, pause) != nil {
			return err
		}
		s.Log.Info(fmt.Sprintf("an object changed while %s was running: calling it again: %v", fn.Name(), err))
	}
}

// A callable that looked at an object and changed that version of it may have met a controller's
// write: it is called again, as it may be after a kill. Seven calls take some 6 s.
const (
	firstRepeat = 100 * time.Millisecond
	lastRepeat  = 3200 * time.Millisecond
)

// How often verify is called while it fails: what was deleted takes its time to go.
const (
	firstVerify = 10 * time.Millisecond
	lastVerify  = 2 * time.Second
)

// verify calls a file's verify until it passes or the file's time is over. Only
// what the cluster says can change by waiting: mistakes in the script are final. The first call may
// take what the undo has just seen to be gone for gone.
func (r *Runner) verify(ctx context.Context, file *versionFile, marks []versions.Mark, gone *builtins.Absences) error {
	ctx, cancel := withAllowance(ctx, r.options.FileTimeout, r.outside.waited)
	defer cancel()
	began := time.Now()
	var last error
	for pause := firstVerify; ; pause = min(2*pause, lastVerify) {
		s := r.undoSession(builtins.Verify, file, marks)
		s.Absences, gone = gone, nil
		_, err := r.call(ctx, s, file.verify, file.content)
		if err == nil {
			return nil
		}
		var catchable engine.Catchable
		if ctx.Err() == nil {
			if !errors.As(err, &catchable) || isFinal(err) {
				return err
			}
			last = err
			if enough := limits.Verify > 0 && time.Since(began) > limits.Verify; !enough && patience.Sleep(ctx, pause) == nil {
				continue
			}
		}
		if last == nil {
			last = err
		}
		return fmt.Errorf("not verified after %s: %w", time.Since(began).Round(time.Second/10), last)
	}
}

// isFinal reports whether asking once more would bring the same: the question was refused, whatever
// the state of the cluster is, or patience is used up.
func isFinal(err error) bool {
	kind := KindOf(err)
	if kind.General() || kind == KindForbidden {
		return true
	}
	var request *kube.Error
	if !errors.As(err, &request) {
		return false
	}
	reason, code := request.Catch()
	// The client has repeated a 500 already. What a container runtime says in one may pass.
	refused := code == http.StatusInternalServerError && request.Resource != "pods/exec"
	return refused || slices.Contains([]string{"Gateway", "Webhook", "NoKind", "GroupUnavailable"}, reason)
}

// finish gives an undone file the name that says so. A cancelled context does not stop it: the undo
// happened, and its name has to tell. Where the name can't be changed, as on a disk that turned
// read-only, the file stays pending; what it undid is restored all the same, and blocks nothing.
func (p *replayer) finish(ctx context.Context, x versions.Execution, result *Result) error {
	p.reach(BeforeRename)
	defer p.reach(AfterRename)
	ctx, cancel := naming(ctx)
	defer cancel()
	f := result.File
	var err error
	switch {
	case p.then == remove:
		err = x.Remove(ctx, f)
	case f.State == versions.Executed:
		// It was replayed once more.
	default:
		result.File, err = x.MarkExecuted(ctx, f)
	}
	if err == nil {
		return nil
	}
	if result.File.State == versions.Executed {
		// Its name says so; only a power loss could still take that back, and then it is undone
		// once more.
		p.fileLog(x, f).Warn(fmt.Sprintf("%s: %v", result.File.Location, err))
		return nil
	}
	result.File, result.Outcome = f, StillPending
	return fmt.Errorf("everything is undone, but %q could not be renamed or removed: %w", f.Location, err)
}

// marker notes changing requests in an execution.
func marker(x versions.Execution) func(string, builtins.Ref, time.Time) (func() error, error) {
	return func(verb string, ref builtins.Ref, until time.Time) (func() error, error) {
		return x.MarkInFlight(versions.Mark{Verb: verb, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, At: time.Now(), Until: until})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
