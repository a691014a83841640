package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// scenarioRun is one scenario file that runs. It is the recorder of its session.
type scenarioRun struct {
	runner   *Runner
	scenario *Scenario
	runUUID  string
	log      *slog.Logger // its lines say which scenario it is

	mu        sync.Mutex
	execution versions.Execution // nil if it could not be begun
	flushed   map[string]string  // SHA-256 of what was recorded, by file
	reports   []Result           // of undo() in mid-run
	contents  []starlark.Value   // of the files that are pending
	effects   []builtins.Effect  // of each map of the scenario file
	config    starlark.Value     // the map that runs
	summaries []json.RawMessage  // of what the chaos measured

	noCluster bool // the cluster did not say which one it is
}

var _ builtins.Recorder = (*scenarioRun)(nil)

// begin makes sure that the store works, before the scenario touches anything: a full
// disk found by the first flush is as safe, one found by the third leaves chaos half made.
func (x *scenarioRun) begin(ctx context.Context) error {
	execution, err := x.runner.store.Begin(ctx, x.runUUID)
	if err == nil {
		x.execution = execution
		err = execution.Probe(ctx)
	}
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case IsRefused(err):
		return fmt.Errorf("no version file, no chaos: %w", err)
	}
	return &RefusedError{Kind: KindStore, Err: fmt.Errorf("no version file, no chaos: %w", err)}
}

// Record implements builtins.Recorder.
func (x *scenarioRun) Record(ctx context.Context, rb builtins.Rollback) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.runner
	clusterUID, err := x.clusterUID(ctx, rb.Undoes)
	if err != nil {
		return err
	}
	content, err := r.compose(x.scenario.script.module, builtins.Version{
		ScenarioType: x.scenario.Type,
		Scenario:     x.scenario.Path,
		RunUUID:      x.runUUID,
		ClusterUID:   clusterUID,
	}, rb)
	if err != nil {
		return fmt.Errorf("no version file, no chaos: %w", err)
	}
	r.reach(BeforeFlush)
	f, err := x.execution.Flush(ctx, x.scenario.Type, content)
	if err != nil {
		return fmt.Errorf("no version file, no chaos: %w", err)
	}
	defer r.proving(f)()
	// What a replay will find has to be what was meant, and nobody else's: looked
	// at after the flush, so that of two runs that meet at least one sees the other.
	file, err := x.readBack(ctx, f, content)
	if err == nil {
		err = r.checkOverlap(ctx, x.execution.ID(), clusterUID, rb.Undoes)
	}
	if err == nil {
		err = r.rehearse(ctx, x.log, file)
	}
	if err != nil {
		return errors.Join(err, x.execution.Remove(context.WithoutCancel(ctx), f))
	}
	x.log.Debug("Flushed rollback version file: " + f.Location)
	x.flushed[f.Key()] = versions.Digest(content)
	r.journal(ctx, f, x.runUUID, versions.Entry{Event: versions.EventFlushed, SHA256: x.flushed[f.Key()], Undoes: subjects(rb.Undoes)})
	x.contents = append(x.contents, rb.Content)
	r.reach(AfterFlush)
	return nil
}

// uidLimit bounds the question which cluster this is, where nothing in it is changed.
const uidLimit = 3 * time.Second

// clusterUID is what the version file says of the cluster. What changes only a cloud
// must not depend on the cluster: there, one that can't be asked soon is unknown.
func (x *scenarioRun) clusterUID(ctx context.Context, undoes []builtins.Ref) (string, error) {
	client, err := x.runner.outside.cluster()
	if slices.ContainsFunc(undoes, builtins.Ref.InCluster) {
		if err != nil {
			return "", err
		}
		return x.runner.clusterUID(ctx, client)
	}
	if x.noCluster {
		return "", nil
	}
	uid := ""
	if err == nil {
		soon, cancel := context.WithTimeout(ctx, uidLimit)
		defer cancel()
		uid, err = x.runner.clusterUID(soon, client)
	}
	if err != nil {
		x.noCluster = true // don't wait again for the next file
		x.log.Debug(fmt.Sprintf("the version file names no cluster: %v", err))
	}
	return uid, ctx.Err()
}

// readBack loads a flushed file as a replay would.
func (x *scenarioRun) readBack(ctx context.Context, f versions.File, want []byte) (*versionFile, error) {
	got, err := x.execution.Read(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("the version file can't be read back: %w", err)
	}
	if !bytes.Equal(got, want) {
		return nil, fmt.Errorf("the version file %s is not what was written", f.Location)
	}
	file, err := x.runner.load(ctx, f.Location, got)
	if err != nil {
		return nil, fmt.Errorf("the version file can't be replayed: %w", err)
	}
	if err := x.runner.engine.CheckModule(file.module, versionFileContract); err != nil {
		return nil, fmt.Errorf("the undo would fail, so there is no chaos: %w", err)
	}
	return file, nil
}

// Undo implements builtins.Recorder.
func (x *scenarioRun) Undo(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.summarize(ctx, x.contents)
	results := x.replay(ctx, remove)
	x.reports, x.contents = append(x.reports, results...), nil
	for _, result := range results {
		if !result.Outcome.Undone() {
			return fmt.Errorf("%s: %s: %w", result.File.Location, result.Outcome, result.Err)
		}
	}
	return nil
}

// replay undoes the execution's files, newest first.
func (x *scenarioRun) replay(ctx context.Context, then after) []Result {
	if x.execution == nil {
		return nil
	}
	defer x.runner.syncJournal(ctx)
	p := x.runner.replayer(ReplayOptions{})
	p.then, p.journaled = then, record{flushed: x.flushed}
	return p.files(ctx, x.execution)
}

// leave names the files that stay for a replay.
func (x *scenarioRun) leave(ctx context.Context) []string {
	if x.execution == nil {
		return nil
	}
	files, err := x.execution.Files(ctx)
	if err != nil {
		// Something is there, or Begin would not have made it: say so rather than nothing.
		x.log.Error(fmt.Sprintf("%s: %v", x.execution.Location(), err))
		return []string{x.execution.Location()}
	}
	var left []string
	for _, f := range files {
		if f.Replayable() {
			left = append(left, f.Location)
			x.log.Warn("auto_rollback is off, left for execute-rollback: " + f.Location)
		}
	}
	return left
}

// id is the execution's, or empty.
func (x *scenarioRun) id() string {
	if x.execution == nil {
		return ""
	}
	return x.execution.ID()
}

// close unlocks the execution.
func (x *scenarioRun) close() error {
	if x.execution == nil {
		return nil
	}
	return x.execution.Close()
}

// ownPod reads namespace/name.
func ownPod(text string) builtins.Ref {
	namespace, name, ok := strings.Cut(text, "/")
	if !ok {
		return builtins.Ref{}
	}
	return builtins.Ref{Kind: "Pod", Name: name, Namespace: namespace}
}

// session is for the scenario's run. look may be nil.
func (x *scenarioRun) session(look func(context.Context) builtins.Sight) *builtins.Session {
	r := x.runner
	return &builtins.Session{
		Mode: builtins.Run, Log: x.log, Progress: r.options.Progress,
		RunUUID: x.runUUID, ScenarioType: x.scenario.Type,
		GCP: r.outside.gcp, AWS: r.outside.aws, AllowIrreversible: r.options.AllowIrreversible,
		Recorder: x,
		OwnPod:   ownPod(r.options.OwnPod),
		Look:     look,
		Changed:  func() { r.reach(AfterChange) },
		Told:     x.changedEvent,
		Cluster:  func(context.Context) (*kube.Client, error) { return r.outside.cluster() },
		Permit:   permitOf(x.execution, false),
		Mark: func(verb string, ref builtins.Ref, until time.Time) (func() error, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			return marker(x.execution)(verb, ref, until)
		},
	}
}
