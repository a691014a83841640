package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// execution is one scenario file that runs. It is the recorder of its session.
type execution struct {
	runner   *Runner
	scenario *Scenario
	runUUID  string

	mu      sync.Mutex
	store   versions.Execution // nil until something is recorded
	reports []Result           // of undo() in mid-run
}

var _ builtins.Recorder = (*execution)(nil)

// Record implements builtins.Recorder.
func (x *execution) Record(ctx context.Context, rb builtins.Rollback) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.runner
	clusterUID, err := x.clusterUID(ctx)
	if err != nil {
		return err
	}
	if x.store == nil {
		if x.store, err = r.Store.Begin(ctx, x.runUUID); err != nil {
			return fmt.Errorf("no version file, no chaos: %w", err)
		}
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
	f, err := x.store.Flush(ctx, x.scenario.Type, content)
	if err != nil {
		return fmt.Errorf("no version file, no chaos: %w", err)
	}
	// What a replay will find has to be what was meant, and nobody else's: looked
	// at after the flush, so that of two runs that meet at least one sees the other.
	err = x.readBack(ctx, f, content)
	if err == nil {
		err = r.checkOverlap(ctx, x.store.ID(), clusterUID, rb.Undoes)
	}
	if err != nil {
		return errors.Join(err, x.store.Remove(context.WithoutCancel(ctx), f))
	}
	r.Log.Debug("Flushed rollback version file: " + f.Location)
	r.journal(ctx, f, x.runUUID, versions.Entry{Event: versions.EventFlushed, SHA256: versions.Digest(content)})
	return nil
}

// clusterUID is what the version file says of the cluster.
func (x *execution) clusterUID(ctx context.Context) (string, error) {
	client, err := x.runner.open()
	if err != nil {
		return "", err
	}
	return x.runner.clusterUID(ctx, client)
}

// readBack loads a flushed file as a replay would.
func (x *execution) readBack(ctx context.Context, f versions.File, want []byte) error {
	got, err := x.store.Read(ctx, f)
	if err != nil {
		return fmt.Errorf("the version file can't be read back: %w", err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the version file %s is not what was written", f.Location)
	}
	if _, err := x.runner.load(ctx, f.Location, got); err != nil {
		return fmt.Errorf("the version file can't be replayed: %w", err)
	}
	return nil
}

// Undo implements builtins.Recorder.
func (x *execution) Undo(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	results := x.replay(ctx, remove)
	x.reports = append(x.reports, results...)
	for _, result := range results {
		if !result.Outcome.Undone() {
			return fmt.Errorf("%s: %s: %w", result.File.Location, result.Outcome, result.Err)
		}
	}
	return nil
}

// replay undoes the execution's files, newest first.
func (x *execution) replay(ctx context.Context, then after) []Result {
	if x.store == nil {
		return nil
	}
	return x.runner.undoAll(ctx, x.store, versions.Filter{}, false, then)
}

// close unlocks the execution.
func (x *execution) close() error {
	if x.store == nil {
		return nil
	}
	return x.store.Close()
}

// session is for the scenario's run.
func (x *execution) session() *builtins.Session {
	r := x.runner
	return &builtins.Session{
		Mode: builtins.Run, Log: r.Log, Progress: r.Progress,
		RunUUID: x.runUUID, ScenarioType: x.scenario.Type,
		Recorder: x,
		Cluster:  func(context.Context) (*kube.Client, error) { return r.open() },
		Mark: func(verb string, ref builtins.Ref, until time.Time) (func() error, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			return marker(x.store)(verb, ref, until)
		},
	}
}
