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

// scenarioRun is one scenario file that is run. It is the recorder of its session.
type scenarioRun struct {
	runner   *Runner
	scenario *Scenario
	runUUID  string
	log      *slog.Logger // its lines name the scenario

	mu        sync.Mutex
	execution versions.Execution // nil if it could not be created
	flushed   map[string]string  // SHA-256 of the recorded contents, by file
	reports   []Result           // of undos during the run
	contents  []starlark.Value   // of the pending files
	effects   []builtins.Effect  // of each map of the scenario file
	config    starlark.Value     // the map that is run
	summaries []json.RawMessage  // what scripts have measured

	noCluster bool // the UID of the cluster could not be read
}

var _ builtins.Recorder = (*scenarioRun)(nil)

// begin checks the store before the scenario changes anything. A full disk that is found by a later
// flush would leave the chaos half made.
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
	// The replay must find what was recorded, and no other run may have changed the same objects.
	// This is checked after the flush, so that of two runs at the same time, at least one sees the
	// other.
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

// uidLimit bounds the request for the UID of the cluster, if the rollback changes nothing in the
// cluster.
const uidLimit = 3 * time.Second

// clusterUID is the UID that is written into the version file. If a rollback changes only a cloud,
// it must not depend on the cluster: a UID that can't be read soon is left out.
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

// replay undoes the files of the execution, newest first.
func (x *scenarioRun) replay(ctx context.Context, then after) []Result {
	if x.execution == nil {
		return nil
	}
	defer x.runner.syncJournal(ctx)
	p := x.runner.replayer(ReplayOptions{})
	p.then, p.journaled = then, record{flushed: x.flushed}
	return p.files(ctx, x.execution)
}

// leave returns the locations of the files that stay for a replay, and logs them.
func (x *scenarioRun) leave(ctx context.Context) []string {
	if x.execution == nil {
		return nil
	}
	files, err := x.execution.Files(ctx)
	if err != nil {
		// The execution exists, so there may be files: name it rather than nothing.
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

// id returns the ID of the execution, or "" if there is none.
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

// ownPod parses namespace/name.
func ownPod(text string) builtins.Ref {
	namespace, name, ok := strings.Cut(text, "/")
	if !ok {
		return builtins.Ref{}
	}
	return builtins.Ref{Kind: "Pod", Name: name, Namespace: namespace}
}

// session returns the session for the scenario's run. look may be nil.
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
