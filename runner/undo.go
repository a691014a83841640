package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// after says what becomes of a file that was undone.
type after bool

const (
	keep   after = false // it is renamed .executed
	remove after = true  // it is removed: the scenario succeeded
)

// undo replays one file of a locked execution. It never returns before the file's
// name says what happened.
func (r *Runner) undo(ctx context.Context, x versions.Execution, f versions.File, u undoing) Result {
	began := time.Now()
	result := Result{File: f, RunUUID: x.RunUUID()}
	r.Log.Info("Executing rollback version file: " + f.Location)
	var sha string
	err := u.lost[f.Key()]
	if err == nil {
		sha, err = r.undoContent(ctx, x, f, u, &result)
	}
	if err == nil {
		r.reach(BeforeRename)
		result.File, err = r.finish(ctx, x, f, u.then)
		switch {
		case err != nil && result.File.State == versions.Executed:
			// Its name says so; only a power loss could still take that back, and then it is undone once more.
			r.Log.Warn(fmt.Sprintf("%s: %v", result.File.Location, err))
			err = nil
		case err != nil:
			result.File = f
			err = fmt.Errorf("everything is undone, but %q could not be put away: %w", f.Location, err)
		}
		r.reach(AfterRename)
	}
	if err != nil {
		result.Outcome, result.Err = classify(err), err
		r.Log.Error(fmt.Sprintf("Failed to execute rollback version file %s: %v", f.Location, result.Reason()))
	} else {
		r.Log.Info(fmt.Sprintf("Executed %s successfully.", f.Location))
		switch {
		case u.then == remove:
			r.Log.Info(fmt.Sprintf("Removed %s successfully.", f.Location))
		case f.Location != result.File.Location:
			r.Log.Info(fmt.Sprintf("Renamed %s to %s successfully.", f.Location, result.File.Location))
		}
	}
	result.Took = time.Since(began)
	r.journal(ctx, f, x.RunUUID(), versions.Entry{
		Event: versions.EventOutcome, SHA256: sha, Integrity: result.Integrity, Outcome: string(result.Outcome), Message: text(result.Err),
	})
	r.finished(result)
	return result
}

// undoContent does the undoing and sets the outcome of what went well. It returns the
// SHA-256 of what it replayed.
func (r *Runner) undoContent(ctx context.Context, x versions.Execution, f versions.File, u undoing, result *Result) (sha string, err error) {
	content, err := x.Read(ctx, f)
	if err != nil {
		return "", err
	}
	sha = versions.Digest(content)
	result.Integrity = versions.IntegritySince(content, u.past.flushed[f.Key()])
	// Before the file is even parsed: if it takes the process down, the journal says which it was.
	r.journal(ctx, f, x.RunUUID(), versions.Entry{Event: versions.EventAttempt, SHA256: sha, Integrity: result.Integrity})
	defer r.watch(f)()
	file, err := r.load(ctx, f.Location, content)
	if err != nil {
		return sha, err
	}
	if err := r.checkOrigin(file, result); err != nil {
		return sha, err
	}
	if result.Integrity == versions.Edited {
		r.Log.Info(fmt.Sprintf("%s was edited since it was written", f.Location))
	}
	marks, err := x.InFlight(ctx)
	if err != nil {
		return sha, err
	}
	s := r.undoSession(builtins.Undo, file, marks)
	s.Mark = marker(x)
	s.Changed = func() { r.reach(DuringUndo) }
	r.reach(BeforeUndo)
	r.Log.Info("Executing rollback callable...")
	if err := r.callFile(ctx, s, file.callable, file.content); err != nil {
		return sha, err
	}
	result.Outcome = Unverified
	if file.verify != nil {
		// The callable may have left some: what it made and removed again can come back.
		if marks, err = x.InFlight(ctx); err != nil {
			return sha, err
		}
		if err := r.verify(ctx, file, marks); err != nil {
			return sha, err
		}
		result.Outcome = Restored
		if s.Changes() == 0 && len(s.AlreadyRestored()) > 0 {
			result.Outcome = AlreadyRestored
		}
	} else {
		r.Log.Warn(fmt.Sprintf("%s has no %s: whether all is restored was not checked", f.Location, nameVerify))
	}
	r.Log.Info("Rollback completed.")
	return sha, nil
}

// checkOrigin refuses a file that stands in another one's place: it may well undo something,
// and what the other one would have undone would be forgotten.
func (r *Runner) checkOrigin(file *versionFile, result *Result) error {
	var err error
	switch {
	case file.RunUUID != "" && file.RunUUID != result.RunUUID:
		err = fmt.Errorf("it is a file of run %s, in the place of one of run %s", file.RunUUID, result.RunUUID)
	case result.Integrity == versions.Replaced:
		err = errors.New("it is not the file that was flushed under this name: somebody put another one in its place")
	default:
		return nil
	}
	if r.Force {
		r.Log.Warn(fmt.Sprintf("%s: %v", result.File.Location, err))
		return nil
	}
	return &RefusedError{
		Err:  err,
		Hint: "put the right file back (ebb history tells its SHA-256), or undo by hand what it would have undone; --force replays this one all the same",
	}
}

// watch tells who looks on that a file's code is at work.
func (r *Runner) watch(f versions.File) (over func()) {
	if r.Watch == nil {
		return func() {}
	}
	return r.Watch(f)
}

// finished tells who looks on what came of a file.
func (r *Runner) finished(result Result) {
	if r.Finished != nil {
		r.Finished(result)
	}
}

// undoSession is for a version file's functions.
func (r *Runner) undoSession(mode builtins.Mode, file *versionFile, marks []versions.Mark) *builtins.Session {
	s := &builtins.Session{
		Mode: mode, Log: r.Log, Progress: r.Progress,
		RunUUID: file.RunUUID, ScenarioType: file.ScenarioType,
		GCP: r.GCP, AWS: r.AWS,
	}
	s.Cluster = func(ctx context.Context) (*kube.Client, error) { return r.clusterFor(ctx, file) }
	for _, m := range marks {
		s.Unsettled = append(s.Unsettled, builtins.Unsettled{
			Verb: m.Verb, Ref: builtins.Ref{Kind: m.Kind, Name: m.Name, Namespace: m.Namespace}, Until: m.Until,
		})
	}
	return s
}

// clusterFor opens the cluster for a file, and at the file's first call makes sure
// that it is the right one. Several threads may call it.
func (r *Runner) clusterFor(ctx context.Context, file *versionFile) (*kube.Client, error) {
	client, err := r.open()
	if err != nil || r.Force {
		return client, err
	}
	file.mu.Lock()
	defer file.mu.Unlock()
	if !file.rightCluster {
		if err := r.checkCluster(ctx, client, file.ClusterUID); err != nil {
			return nil, err
		}
		file.rightCluster = true
	}
	return client, nil
}

// checkCluster refuses a cluster that is known to be another one.
func (r *Runner) checkCluster(ctx context.Context, client *kube.Client, want string) error {
	if want == "" {
		r.Log.Warn(fmt.Sprintf("the version file names no cluster, using %s", client.Server()))
		return nil
	}
	got, err := r.clusterUID(ctx, client)
	if err != nil || got == "" || got == want {
		return err
	}
	return &RefusedError{
		Err:  fmt.Errorf("this is another cluster: %s has the UID %s, the version file is for %s", client.Server(), got, want),
		Hint: "choose the right one with --kubeconfig and --context, or use --force if the cluster was rebuilt under the same names",
	}
}

// callFile calls a function of a version file within the time that a file has.
func (r *Runner) callFile(ctx context.Context, s *builtins.Session, fn *starlark.Function, content starlark.Value) error {
	ctx, cancel := withAllowance(ctx, r.FileTimeout, r.waited)
	defer cancel()
	_, err := r.call(ctx, s, fn, content)
	return s.Because(err)
}

// waited is how long the cluster and the clouds were waited for.
func (r *Runner) waited() time.Duration {
	var waited time.Duration
	if client := r.client.Load(); client != nil {
		waited += client.Waited()
	}
	if r.GCP != nil {
		waited += r.GCP.Waited()
	}
	if r.AWS != nil {
		waited += r.AWS.Waited()
	}
	return waited
}

// How often verify is called while it fails: what was deleted takes its time to go.
const (
	firstVerify = 100 * time.Millisecond
	lastVerify  = 2 * time.Second
)

// verify calls a file's verify until it passes or the file's time is over. Only
// what the cluster says can change by waiting: mistakes in the script are final.
func (r *Runner) verify(ctx context.Context, file *versionFile, marks []versions.Mark) error {
	ctx, cancel := withAllowance(ctx, r.FileTimeout, r.waited)
	defer cancel()
	began := time.Now()
	var last error
	for pause := firstVerify; ; pause = min(2*pause, lastVerify) {
		_, err := r.call(ctx, r.undoSession(builtins.Verify, file, marks), file.verify, file.content)
		if err == nil {
			return nil
		}
		var catchable engine.Catchable
		if ctx.Err() == nil {
			if !errors.As(err, &catchable) {
				return err
			}
			last = err
			timer := time.NewTimer(pause)
			select {
			case <-timer.C:
				continue
			case <-ctx.Done():
				timer.Stop()
			}
		}
		if last == nil {
			last = err
		}
		return fmt.Errorf("not verified after %s: %w", time.Since(began).Round(time.Second/10), last)
	}
}

// finish gives an undone file the name that says so. A cancelled context does not
// stop it: the undo happened, and its name has to tell.
func (r *Runner) finish(ctx context.Context, x versions.Execution, f versions.File, then after) (versions.File, error) {
	ctx = context.WithoutCancel(ctx)
	switch {
	case then == remove:
		return f, x.Remove(ctx, f)
	case f.State == versions.Executed:
		return f, nil // it was replayed once more
	}
	return x.MarkExecuted(ctx, f)
}

// marker notes changing requests in an execution.
func marker(x versions.Execution) func(string, builtins.Ref, time.Time) (func() error, error) {
	return func(verb string, ref builtins.Ref, until time.Time) (func() error, error) {
		return x.MarkInFlight(versions.Mark{Verb: verb, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, At: time.Now(), Until: until})
	}
}

// classify returns the outcome that an error is.
func classify(err error) Outcome {
	switch {
	case isRefused(err):
		return Refused
	case isConflict(err):
		return Conflict
	}
	return Failed
}

// journal appends an entry about a file. History is not worth stopping an undo for.
func (r *Runner) journal(ctx context.Context, f versions.File, runUUID string, e versions.Entry) {
	e.RunUUID, e.ScenarioType, e.Execution, e.File = runUUID, f.ScenarioType, f.Execution, f.Name
	if err := r.Store.Append(context.WithoutCancel(ctx), e); err != nil {
		r.Log.Warn(fmt.Sprintf("the journal was not written: %v", err))
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
