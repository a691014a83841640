package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

// reached is set by the tests that end the process at a point.
var reached func(runner.Point)

// setup is what the flags and the configuration make of a command.
type setup struct {
	*config.Config
	log      *slog.Logger
	progress *console.Progress
	store    *versions.Dir
	stdout   io.Writer

	again string // the command that goes on with a replay

	// Set in a worker: see supervise.go.
	watch    func(versions.File) func()
	finished func(runner.Result)
	fatal    func(why string)
}

// newSetup is what a command has without a configuration: it can speak.
func newSetup(o *commonOptions) (*setup, error) {
	s := &setup{stdout: o.stdout, progress: console.NewProgress(o.stderr)}
	color := console.Color(s.progress) && !o.NoColor
	var err error
	if s.log, err = console.NewLogger(s.progress, o.LogFormat, o.LogLevel, color); err != nil {
		return nil, &usageError{err: err}
	}
	return s, nil
}

// load reads the configuration with read, and says what is doubtful in it.
func load(o *commonOptions, read func() (*config.Config, error)) (*setup, error) {
	s, err := newSetup(o)
	if err != nil {
		return nil, err
	}
	if s.Config, err = read(); err != nil {
		return nil, &usageError{err: err}
	}
	for _, w := range s.Warnings {
		s.log.Warn(w)
	}
	if len(s.Ignored) > 0 {
		s.log.Debug(fmt.Sprintf("keys of %s that have no effect: %q", s.File, s.Ignored))
	}
	if s.store, err = versions.NewDir(s.VersionsDirectory); err != nil {
		return nil, &usageError{err: err}
	}
	return s, nil
}

// locate finds the version file that an operand names. One that is not there is a mistake in the operand.
func locate(operand string) (*versions.Dir, versions.File, error) {
	store, file, err := versions.Locate(operand)
	if err != nil && !runner.IsRefused(err) {
		err = &usageError{err: err}
	}
	return store, file, err
}

// runner makes the runner of a command.
func (s *setup) runner(o *commonOptions, times timeOptions, force bool) (*runner.Runner, error) {
	options := runner.Options{
		Log:      s.log,
		Progress: s.wait,
		Version:  version,
		Patience: times.Timeout, TotalPatience: times.total,
		FileTimeout: times.FileTimeout,
		Grace:       times.Grace,
		Force:       force,
		Hooks: runner.Hooks{
			Reached:  reached,
			Watch:    s.watch,
			Finished: s.finished,
			Stuck: func(where string) {
				s.end("could not stop the code of " + where + " when its time was over")
			},
		},
		Scripts: []runner.ScriptDir{{Name: "built-in", FS: scripts.FS}},
		GCP:     runner.GCPFromEnvironment,
		AWS:     runner.AWSFromEnvironment,
		Cluster: func() (*rest.Config, error) {
			path := o.Kubeconfig
			if path == "" {
				path = s.Kubeconfig
			}
			path, err := config.KubeconfigPath(path)
			if err != nil {
				return nil, err
			}
			return kube.LoadConfig(path, o.Context)
		},
	}
	if s.ScriptsDirectory != "" {
		path, err := filepath.Abs(s.ScriptsDirectory)
		if err != nil {
			return nil, err
		}
		options.Scripts = append(options.Scripts, runner.ScriptDir{
			Name: s.ScriptsDirectory, FS: versions.SafeFS(path, 1<<20),
		})
	}
	return runner.New(s.store, options)
}

// end ends the process because nothing else can end what it is at. What is pending on
// the disk stays so. why completes a sentence whose subject is the process.
func (s *setup) end(why string) {
	if s.fatal != nil {
		s.fatal(why) // the supervisor says it
	} else {
		s.log.Error("this process " + why + " and ends: what is not restored stays pending")
	}
	os.Exit(exitPending)
}

// wait shows a wait until it is told that it is over.
func (s *setup) wait(d time.Duration, what string) func() {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := s.progress.Wait(ctx, s.log, d, what); err != nil && !errors.Is(err, context.Canceled) {
			s.log.Debug(fmt.Sprintf("progress: %v", err))
		}
	}()
	return func() {
		cancel()
		<-over
	}
}
