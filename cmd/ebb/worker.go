package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/supervisor"
	"github.com/ebb-chaos/ebb/versions"
)

// Scripts and version files run in workers: this program, started again (see the package
// supervisor). The process that the user started reads the command line and the configuration. It
// passes the settings on to its workers, which read neither.

// reached is set in the binary for tests. It ends the process at a point.
var reached func(runner.Point)

// builtinScripts are the scripts of the package scripts. Tests replace what would be dangerous for
// their machine.
var builtinScripts fs.FS = scripts.FS

// eventsOff is set in the binary for tests: most of them count requests, or let the n-th request
// fail.
var eventsOff bool

// stopping is closed when a worker has received a signal.
var stopping = make(chan struct{})

// workerSettings are what a worker needs from the command line and the configuration.
type workerSettings struct {
	Store      storeSettings
	Scripts    string // a directory of scenario scripts; "" for only the built-in ones
	OnlyScript string // the only script of that directory to use; "" for all
	Kubeconfig string // "" for the file that Kubernetes' own tools would use
	Context    string
	LogFormat  string
	LogLevel   string
	NoColor    bool
	Color      bool // the log ends at a terminal
	LogCopy    string
	Times      timeOptions
	// TotalPatience limits all waiting for one server together. 0 means no limit in total: the
	// timeout then applies to each outage.
	TotalPatience time.Duration
	Force         bool
	Events        bool // write Kubernetes Events
	// AllowIrreversible lets scenarios make changes that can't be undone.
	AllowIrreversible bool
	OnStop            string // what happens after a signal, for messages
}

// settings makes the settings of a worker from the options of a command.
func (s *setup) settings(o *commonOptions, times timeOptions) workerSettings {
	w := workerSettings{
		Store: s.store.settings, Scripts: s.ScriptsDirectory, Kubeconfig: s.Kubeconfig, Context: o.Context,
		LogFormat: o.LogFormat, LogLevel: o.LogLevel, NoColor: o.NoColor, LogCopy: o.logCopy,
		Events: s.Events && !eventsOff,
		Times:  times, OnStop: "finishing the file at hand",
	}
	if o.Kubeconfig != "" {
		w.Kubeconfig = o.Kubeconfig
	} else if w.Kubeconfig != "" && missing(w.Kubeconfig) && !missing(config.ServiceAccount) {
		// As Krkn does in a pod: its configuration often names a file of the machine that it was
		// written on.
		s.log.Warn(fmt.Sprintf("kubeconfig_path %q does not exist: using the pod's service account", w.Kubeconfig))
		w.Kubeconfig = ""
	}
	return w
}

// podNamespace is a file that each pod with a service account has.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// ownPod returns the pod that this program runs in, as namespace/name, or "". EBB_POD names the pod
// where the host name does not, as in a pod in its node's network.
func ownPod() string {
	if pod := os.Getenv("EBB_POD"); pod != "" {
		return pod
	}
	namespace, err := os.ReadFile(podNamespace)
	if err != nil {
		return ""
	}
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(namespace)) + "/" + host
}

// missing reports whether a file certainly does not exist. The home directory may be no directory
// at all: /dev/null. If a path may not be read, the file may exist, and may name another cluster.
func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// buildRunner makes the runner of a worker.
func buildRunner(w workerSettings, worker *supervisor.Worker) (*runner.Runner, error) {
	s, err := newSetup(&commonOptions{
		invocation: invocation{stderr: os.Stderr}, LogFormat: w.LogFormat, LogLevel: w.LogLevel, NoColor: w.NoColor, color: w.Color, logCopy: w.LogCopy,
	})
	if err != nil {
		return nil, err
	}
	w.Store.Force = w.Store.Force || w.Force
	if w.Store.Patience == 0 {
		w.Store.Patience = w.Times.Timeout
	}
	store, err := w.Store.open(s.log)
	if err != nil {
		return nil, err
	}
	worker.Stopping = func(cause string) {
		s.sayInterrupted(cause, w.OnStop)
		close(stopping)
	}
	options := runner.Options{
		Log:      s.log,
		Progress: s.wait,
		Version:  version,
		Patience: w.Times.Timeout, TotalPatience: w.TotalPatience,
		FileTimeout: w.Times.FileTimeout,
		Grace:       w.Times.Grace,
		Force:       w.Force,
		Hooks:       worker.Hooks,
		OwnPod:      ownPod(),
		Scripts:     []runner.ScriptDir{{Name: "built-in", FS: builtinScripts, NamedByType: true}},
		GCP:         online(runner.GCPFromEnvironment),
		AWS:         online(runner.AWSFromEnvironment),

		AllowIrreversible: w.AllowIrreversible,
		Events:            w.Events,
		Cluster: func() (*rest.Config, error) {
			path, err := config.KubeconfigPath(w.Kubeconfig)
			if err != nil {
				return nil, err
			}
			return loadConfig(path, w.Context)
		},
	}
	if reached != nil {
		options.Hooks.Reached = reached
	}
	if w.Scripts != "" {
		path, err := filepath.Abs(w.Scripts)
		if err != nil {
			return nil, err
		}
		var files fs.FS = versions.SafeFS(path, 1<<20)
		if w.OnlyScript != "" {
			files = oneScript{files, w.OnlyScript}
		}
		options.Scripts = append(options.Scripts, runner.ScriptDir{Name: w.Scripts, FS: files})
	}
	return runner.New(store.Store, options)
}

// oneScript is a directory of scenario scripts that shows only one of them, and what it can load.
type oneScript struct {
	fs.FS
	name string
}

// ReadDir implements [fs.ReadDirFS].
func (o oneScript) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(o.FS, name)
	if name == "." {
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
			return e.Name() != o.name && strings.HasSuffix(e.Name(), ".star")
		})
	}
	return entries, err
}
