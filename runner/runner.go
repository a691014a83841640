package runner

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/aws"
	"github.com/ebb-chaos/ebb/internal/gcp"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// Options say what a runner works with.
type Options struct {
	// Store keeps the version files.
	Store versions.Store

	// Cluster opens the Kubernetes cluster. It is called once, at the first call
	// that needs it.
	Cluster func() (*kube.Client, error)

	// GCP and AWS reach the clouds around the cluster, for scenarios that stop
	// machines. Nil where there is none.
	GCP *gcp.Client
	AWS *aws.Client

	// Scripts are the directories of scenario scripts, the built-in one first.
	Scripts []ScriptDir

	// Log receives what happens. Default: nobody.
	Log *slog.Logger

	// Progress is told of a wait, and returns what ends its display. Default: nobody.
	Progress func(d time.Duration, what string) (done func())

	// Version is written into version files: who made them.
	Version string

	// FileTimeout bounds one file's callable, and then its verify; waiting for an
	// API server that is down does not count. Default 60 s.
	FileTimeout time.Duration

	// Grace bounds what is still done after a context was cancelled. Default 25 s.
	Grace time.Duration

	// Reached is called at each [Point]: for tests that end the process there.
	Reached func(Point)

	// Watch is told of each version file before its code is loaded or called, and
	// returns what is called when that is over. Code can end the process in ways that
	// no interpreter can stop: whoever looks from outside then knows which file it was.
	// It may be called from several goroutines. Default: nobody.
	Watch func(f versions.File) (over func())

	// Finished is told of a file as soon as its replay has ended. It may be called
	// from several goroutines. Default: nobody.
	Finished func(Result)

	// Stuck is called when code goes on although its time has been over for StuckAfter
	// (default 3 s): there are steps in which it can't be stopped. where is its file. The only
	// way out is the end of the process, with everything pending as it is; without Stuck it is
	// waited for.
	Stuck      func(where string)
	StuckAfter time.Duration

	// Force replays files on a cluster other than the one they were written for, and
	// files that stand in the place of others.
	Force bool
}

// The defaults of [Options]. Grace and StuckAfter together stay below the 30 s that a pod has
// after its SIGTERM.
const (
	DefaultFileTimeout = 60 * time.Second
	DefaultGrace       = 25 * time.Second
	DefaultStuckAfter  = 3 * time.Second
)

// ScriptDir is a directory of scenario scripts: the files *.star at its root.
type ScriptDir struct {
	Name string // for messages
	FS   fs.FS  // follows no symbolic links
}

// Runner runs and undoes scenarios. It is safe for concurrent use.
type Runner struct {
	Options
	engine *engine.Engine

	clusterOnce sync.Once
	client      atomic.Pointer[kube.Client]
	clientErr   error

	unknownCluster sync.Once // said once

	overlaps overlaps
}

// New returns a runner.
func New(o Options) *Runner {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FileTimeout == 0 {
		o.FileTimeout = DefaultFileTimeout
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.StuckAfter == 0 {
		o.StuckAfter = DefaultStuckAfter
	}
	r := &Runner{Options: o}
	r.engine = engine.New(engine.Options{
		Predeclared: builtins.Predeclared(),
		Bind:        builtins.Bind,
		Caught: func(ctx context.Context, err error) {
			if s := builtins.SessionOf(ctx); s != nil {
				s.Catch(err)
			}
		},
		Print: func(_ context.Context, msg string) { r.Log.Info(msg) },
	})
	return r
}

// call calls fn under a session.
func (r *Runner) call(ctx context.Context, s *builtins.Session, fn *starlark.Function, args ...starlark.Value) (starlark.Value, error) {
	defer r.notStuck(ctx, fn.Position().Filename())()
	return r.engine.Call(builtins.WithSession(ctx, s), fn, args...)
}

// initSession is for a module that loads.
func (r *Runner) initSession() *builtins.Session {
	return &builtins.Session{Mode: builtins.Init, Log: r.Log}
}

// open returns the cluster, which it opens at the first call.
func (r *Runner) open() (*kube.Client, error) {
	r.clusterOnce.Do(func() {
		if r.Cluster == nil {
			r.clientErr = fmt.Errorf("there is no cluster configured")
			return
		}
		var client *kube.Client
		if client, r.clientErr = r.Cluster(); r.clientErr == nil {
			r.client.Store(client)
		}
	})
	return r.client.Load(), r.clientErr
}

// clusterUID returns what identifies the cluster, or "" with the reason in a
// warning when it may not be read. An API server that does not answer is an error.
func (r *Runner) clusterUID(ctx context.Context, client *kube.Client) (string, error) {
	uid, err := client.ClusterUID(ctx)
	if err == nil {
		return uid, nil
	}
	if !forbidden(err) {
		return "", err
	}
	r.unknownCluster.Do(func() {
		r.Log.Warn(fmt.Sprintf("which cluster this is can't be checked, server %s: %v", client.Server(), err))
	})
	return "", nil
}
