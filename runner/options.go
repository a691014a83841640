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

// Options configure a runner. The zero value of each is the safe default. [New] checks them, and
// they can't be changed afterwards.
type Options struct {
	// Cluster returns the client configuration of the Kubernetes cluster. It is called once, when a
	// script first needs the cluster. If it is nil, calls that need a cluster fail.
	Cluster func() (*rest.Config, error)

	// GCP returns a source of tokens for Compute Engine, and AWS the configuration of EC2. Each is
	// called when a script first needs that cloud. If it is nil, such calls fail.
	// [GCPFromEnvironment] and [AWSFromEnvironment] find the operator's own credentials.
	GCP func(context.Context) (oauth2.TokenSource, error)
	AWS func(context.Context) (aws.Config, error)

	// OwnPod is the pod that this program runs in, as namespace/name. Scenarios that choose nodes
	// leave out its node. Empty: the program runs in no pod.
	OwnPod string

	// Scripts are the directories of scenario scripts. A script may override a type of an earlier
	// directory. The scripts of ebb are in package scripts. Without any, files can be replayed, but
	// no scenario can be run.
	Scripts []ScriptDir

	// Log receives the log. Each line of a run or a replay has attributes that name the run, the
	// execution and the file. Nil: no log.
	Log *slog.Logger

	// Progress is called at the beginning of a wait: d is how long it takes at most, what names it.
	// The returned function is called at its end. Nil: no display.
	Progress func(d time.Duration, what string) (done func())

	// Version is the version of the program, written into version files. Empty: "as a library".
	Version string

	// Patience bounds the wait for an API server or a cloud that gives no usable answer, in each
	// outage. 0: 5 minutes. TotalPatience bounds the waits of all outages together. 0: no bound.
	// Set it for a replay that a person waits for.
	Patience, TotalPatience time.Duration

	// FileTimeout bounds the callable of one file, and then its verify. Waiting for an API server
	// that does not answer does not count. 0: [DefaultFileTimeout].
	FileTimeout time.Duration

	// Grace bounds the undo after a context was cancelled. 0: [DefaultGrace].
	Grace time.Duration

	// Force also replays files that were written for another cluster, and files that replaced
	// others.
	Force bool

	// AllowIrreversible allows scenarios that do what can't be undone, such as deleting a machine.
	// Their undo can only wait for the recovery.
	AllowIrreversible bool

	// Events turns on Kubernetes Events: one on each object that a scenario changes, and one when
	// it is restored. If one can't be written, a warning is logged.
	Events bool

	// Hooks are called while the runner works.
	Hooks Hooks
}

// Hooks are functions that a runner calls while it works. Each may be nil, and may be called from
// several goroutines at the same time.
type Hooks struct {
	// Reached is called at each [Point]. Tests end the process there.
	Reached func(Point)

	// Watch is called before the code of a version file is loaded or called. The returned function
	// is called after that. If the code ends the process, a supervisor knows which file it was.
	Watch func(versions.File) (over func())

	// Finished is called when the replay of a file has ended.
	Finished func(Result)

	// Proving is called for a new version file, before its code is loaded and rehearsed. The
	// returned function is called after that. The change that the file undoes is made later.
	Proving func(versions.File) (over func())

	// Loading is called before a scenario script is loaded, and before it checks a scenario file.
	// The returned function is called after that.
	Loading func(script string) (over func())

	// Began and Ended are called for each scenario file, in order. Began is called before any
	// change; it gets the execution that will have the version files.
	Began func(Start)
	Ended func(ScenarioResult)

	// Stuck is called if the code of a file still runs StuckAfter after its time was over: some
	// steps of the interpreter can't be interrupted. where names the code. Stuck should end the
	// process, which leaves everything pending. If Stuck is nil, the runner waits for the code. A
	// StuckAfter of 0 is [DefaultStuckAfter].
	Stuck      func(where string)
	StuckAfter time.Duration
}

// The defaults of [Options]. Grace and StuckAfter together are less than the 30 s that Kubernetes
// gives a pod after SIGTERM.
const (
	DefaultFileTimeout = 60 * time.Second
	DefaultGrace       = 25 * time.Second
	DefaultStuckAfter  = 3 * time.Second
)

// ScriptDir is a directory of scenario scripts: the files *.star at its root.
type ScriptDir struct {
	Name string // for messages
	FS   fs.FS  // should follow no symbolic links

	// NamedByType says that each file is named after the scenario type that it declares: TYPE.star.
	// A run then loads only the scripts that it needs.
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
