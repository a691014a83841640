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

// Scripts and version files are run by workers, which are this program again: see the package
// supervisor. The process that the user started reads the command line and the configuration, and
// tells its workers what they need of both; they read neither.

// reached is set in a binary for tests, which ends the process at a point.
var reached func(runner.Point)

// builtinScripts are those of the package scripts. Tests change what is a danger to their machine.
var builtinScripts fs.FS = scripts.FS

// eventsOff is set in a binary for tests: most of them count requests, or faults that the n-th meets.
var eventsOff bool

// stopping is closed when a worker has heard of a signal.
var stopping = make(chan struct{})

// workerSettings are what a worker needs of the command line and the configuration.
type workerSettings struct {
	Store      storeSettings
	Scripts    string // a directory of scenario scripts; "" for none beside the built-in ones
	OnlyScript string // the only one of that directory that counts; "" for all
	Kubeconfig string // "" for what Kubernetes' own tools take
	Context    string
	LogFormat  string
	LogLevel   string
	NoColor    bool
	Color      bool // what the log goes through ends at a terminal
	LogCopy    string
	Times      timeOptions
	// TotalPatience bounds all waiting for one server; 0 is no bound: the timeout is for each
	// outage.
	TotalPatience time.Duration
	Force         bool
	Events        bool // Kubernetes Events
	// AllowIrreversible lets scenarios do what can't be undone.
	AllowIrreversible bool
	OnStop            string // what is done after a signal, for messages
}

// settings makes those of a command.
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
		// As Krkn in a pod, whose configuration often names a file of the machine that it was
		// written on.
		s.log.Warn(fmt.Sprintf("kubeconfig_path %q does not exist: using the pod's service account", w.Kubeconfig))
		w.Kubeconfig = ""
	}
	return w
}

// podNamespace is what each pod with a service account has.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// ownPod is the pod that this program runs in, as namespace/name, "" for none. EBB_POD says it where
// the host's name does not, as in a pod in its node's network.
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

// missing reports whether there is certainly no such file. A home may be no directory: /dev/null. What may
// not be looked for may be there, and name another cluster.
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

// oneScript is a directory of scenario scripts of which only one is seen, with what it can load.
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
