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

// undo replays one file of a locked execution. When it returns, the name of the file says whether
// it is undone.
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

// how says what is special about an attempt, for the journal.
func (p *replayer) how() string {
	if p.TakeOver {
		return "what somebody else changed since is taken over"
	}
	return ""
}

// fileLog returns a logger whose lines name the file.
func (r *Runner) fileLog(x source, f versions.File) *slog.Logger {
	return r.options.Log.With("run_uuid", x.RunUUID(), "execution", x.ID(), "file", f.Name, "scenario_type", f.ScenarioType)
}

// undoContent runs the undo and verify, and sets the outcome. It returns the SHA-256 of the content
// that it ran.
func (p *replayer) undoContent(ctx context.Context, x versions.Execution, f versions.File, result *Result) (sha string, err error) {
	content, err := x.Read(ctx, f)
	if err != nil {
		return "", err
	}
	sha = versions.Digest(content)
	// Before the file is parsed: if that ends the process, the journal says which file it was.
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
		if p.purposeLost(file, f) {
			file.log.Warn(fmt.Sprintf("%s: %s", f.Location, purposeUnknown))
			result.Actions = []string{purposeUnknown}
		}
	}
	if file.verify != nil {
		// The callable may have left requests under way: an object that it created and deleted can
		// come back.
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

// checkOrigin refuses a file that replaced another one. Its undo may be valid, but the undo of the
// other one would be lost.
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

// undoSession returns the session for a version file's functions.
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

// callFile calls a function of a version file, within the time of a file.
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

// A callable has read an object, and its change of that version failed, because a controller has
// changed the object. It is called again; a callable must allow that. Seven calls take about 6 s.
const (
	firstRepeat = 100 * time.Millisecond
	lastRepeat  = 3200 * time.Millisecond
)

// How often verify is called while it fails: deleted objects take a while to disappear.
const (
	firstVerify = 10 * time.Millisecond
	lastVerify  = 2 * time.Second
)

// verify calls the verify of a file until it passes or the time of the file is over. It repeats the
// call only if the state of the cluster may change; a mistake in the script is final. The first
// call may use the proof of the undo that an object is gone.
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

// isFinal reports whether another call would have the same result: the request was refused,
// whatever the state of the cluster is, or patience is used up.
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
	// The client has repeated a request that was answered by 500. An error of a container runtime
	// may pass.
	refused := code == http.StatusInternalServerError && request.Resource != "pods/exec"
	return refused || slices.Contains([]string{"Gateway", "Webhook", "NoKind", "GroupUnavailable"}, reason)
}

// finish renames an undone file to .executed. It does so even if the context is cancelled, because
// the undo was done. If the file can't be renamed, as on a disk that became read-only, it stays
// pending; its objects are restored all the same, and it blocks no other file.
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
		// It was executed already, and was replayed again.
	default:
		result.File, err = x.MarkExecuted(ctx, f)
	}
	if err == nil {
		return nil
	}
	if result.File.State == versions.Executed {
		// The name is changed. Only a power loss could take that back; the file would then be
		// replayed again.
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
