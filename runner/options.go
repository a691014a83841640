package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/oauth2"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/versions"
)

// Options say what a runner works with. The zero value of each is the safe default; [New] checks
// them, and they can't be changed afterwards.
type Options struct {
	// Cluster returns how to reach the Kubernetes cluster. It is called once, at the first call of
	// a script that needs the cluster. Nil: there is none, and such a call fails.
	Cluster func() (*rest.Config, error)

	// GCP returns a source of tokens for Compute Engine, and AWS the configuration for EC2, for
	// scenarios that stop machines. Each is called at the first call of a script that needs that
	// cloud. Nil: there is none. [GCPFromEnvironment] and [AWSFromEnvironment] find the operator's
	// own credentials.
	GCP func(context.Context) (oauth2.TokenSource, error)
	AWS func(context.Context) (aws.Config, error)

	// Scripts are the directories of scenario scripts. A later one may override a type of an
	// earlier one. Without any, files can be replayed and no scenario can be run. ebb's own are in
	// the package scripts.
	Scripts []ScriptDir

	// Log receives what happens. Each line of a replay or a run has attributes that say which run,
	// execution and file it is about. Nil: nobody.
	Log *slog.Logger

	// Progress is told of a wait of d, and returns what ends its display. Nil: nobody.
	Progress func(d time.Duration, what string) (done func())

	// Version is written into version files: who made them. Empty: "as a library".
	Version string

	// Patience bounds the wait for an API server or a cloud that gives no usable answer, in each
	// outage. 0: 5 minutes. TotalPatience bounds the waits of all its outages together, which a
	// replay that somebody waits for should have. 0: no bound.
	Patience, TotalPatience time.Duration

	// FileTimeout bounds one file's callable, and then its verify; waiting for an API server that
	// is down does not count. 0: [DefaultFileTimeout].
	FileTimeout time.Duration

	// Grace bounds what is still done after a context was cancelled. 0: [DefaultGrace].
	Grace time.Duration

	// Force replays files on a cluster other than the one they were written for, and files that
	// replaced others.
	Force bool

	// Hooks are for whoever looks on.
	Hooks Hooks
}

// Hooks are told what a runner does. Each may be nil, and may be called from several goroutines.
type Hooks struct {
	// Reached is called at each [Point]: for tests that end the process there.
	Reached func(Point)

	// Watch is told of each version file before its code is loaded or called, and returns what is
	// called when that is over. Code can end the process in ways that no interpreter can stop:
	// whoever looks from outside then knows which file it was.
	Watch func(versions.File) (over func())

	// Finished is told of a file as soon as its replay has ended.
	Finished func(Result)

	// Proving is told of a version file that was just written, before its code is loaded and
	// rehearsed, and returns what is called when that is over. Nothing is changed under the file
	// before.
	Proving func(versions.File) (over func())

	// Loading is told of each scenario script before its code is loaded or checks a scenario file,
	// and returns what is called when that is over.
	Loading func(script string) (over func())

	// Began and Ended are told of each scenario file that is run, in their order. Began is called
	// before anything is changed; after it, what is changed is written down in the execution that
	// it names.
	Began func(Start)
	Ended func(ScenarioResult)

	// Stuck is called when code goes on although its time has been over for StuckAfter (0:
	// [DefaultStuckAfter]): there are steps in which it can't be stopped. where is its file. The
	// only way out is the end of the process, with everything pending as it is; without Stuck it is
	// waited for.
	Stuck      func(where string)
	StuckAfter time.Duration
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

// withDefaults checks the options and fills in what is zero.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	for _, limit := range []struct {
		name string
		d    time.Duration
	}{{"Patience", o.Patience}, {"TotalPatience", o.TotalPatience}, {"FileTimeout", o.FileTimeout}, {"Grace", o.Grace}, {"Hooks.StuckAfter", o.Hooks.StuckAfter}} {
		if limit.d < 0 {
			errs = append(errs, fmt.Errorf("runner options: %s: got %s, want 0 or more", limit.name, limit.d))
		}
	}
	for i, dir := range o.Scripts {
		if dir.FS == nil || dir.Name == "" {
			errs = append(errs, fmt.Errorf("runner options: Scripts[%d]: got name %q and FS %v, want both", i, dir.Name, dir.FS))
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "as a library"
	}
	for _, limit := range []struct {
		d       *time.Duration
		instead time.Duration
	}{{&o.FileTimeout, DefaultFileTimeout}, {&o.Grace, DefaultGrace}, {&o.Hooks.StuckAfter, DefaultStuckAfter}} {
		if *limit.d == 0 {
			*limit.d = limit.instead
		}
	}
	return o, errors.Join(errs...)
}
