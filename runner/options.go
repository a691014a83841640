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

	// OwnPod is the pod that this program runs in, as namespace/name: its node is not drawn for
	// chaos. Empty: there is none.
	OwnPod string

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

	// AllowIrreversible lets scenarios do what can't be undone, such as the deletion of a machine.
	// Their undo can only wait for the recovery.
	AllowIrreversible bool

	// Events has a Kubernetes Event written on each object that a scenario changes, and one when it
	// is restored. One that can't be written is a warning.
	Events bool

	// Hooks are for whoever looks on.
	Hooks Hooks
}

// Hooks are called by a runner while it works. Each may be nil. Each may be called from several
// goroutines at the same time.
type Hooks struct {
	// Reached is called at each [Point]. Tests end the process there.
	Reached func(Point)

	// Watch is called before the code of a version file is loaded or called. It returns a function
	// that is called after that. Code can end the process: a supervisor then knows which file it
	// was.
	Watch func(versions.File) (over func())

	// Finished is called as soon as the replay of a file has ended.
	Finished func(Result)

	// Proving is called for a version file that was just written, before its code is loaded and
	// rehearsed. It returns a function that is called after that. The change that the file undoes
	// is made later.
	Proving func(versions.File) (over func())

	// Loading is called before a scenario script is loaded, and before it checks a scenario file.
	// It returns a function that is called after that.
	Loading func(script string) (over func())

	// Began and Ended are called for each scenario file that is run, in their order. Began is
	// called before anything is changed. It names the execution that has the version files.
	Began func(Start)
	Ended func(ScenarioResult)

	// Stuck is called when the code of a file, where, still runs StuckAfter after its time was over
	// (0: [DefaultStuckAfter]). Some steps of the interpreter can't be interrupted. Stuck should end
	// the process, which leaves everything pending. If Stuck is nil, the runner waits for the code.
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

	// NamedByType says that each file has the name of the scenario type that it declares:
	// TYPE.star. A run then loads only the scripts that it needs.
	NamedByType bool
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
