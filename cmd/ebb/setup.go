package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/ebb-chaos/ebb/internal/config"
	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
)

// setup is what a command makes of its flags and the configuration.
type setup struct {
	*config.Config
	*caller
	log      *slog.Logger
	progress *console.Progress
	store    place
	stdout   io.Writer
	stderr   io.Writer
	plain    bool // --no-color

	again    string // the command that continues a replay
	krkns    int    // selected pending files that only Krkn can replay
	exitCode bool   // a plan that has changes gets an exit code of its own
	counts   bool   // the progress bar counts files, while workers write to the log
	finished func(runner.Result)
	reporter *reporter // nil without a report
}

// newSetup makes the setup without a configuration. It is sufficient to print messages.
func newSetup(o *commonOptions) (*setup, error) {
	s := &setup{caller: o.caller, stdout: o.stdout, stderr: o.stderr, plain: o.NoColor, progress: console.NewProgress(o.stderr)}
	color := (console.Color(s.progress) || o.color) && !o.NoColor
	var log io.Writer = s.progress
	var err error
	if o.logCopy != "" {
		if log, err = openCaptured(log, o.logCopy); err != nil {
			return nil, err
		}
	}
	if s.log, err = console.NewLogger(log, o.LogFormat, o.LogLevel, color); err != nil {
		return nil, &usageError{err: err}
	}
	return s, nil
}

// color reports whether output to w may be coloured.
func (s *setup) color(w io.Writer) bool { return !s.plain && console.Color(w) }

// load reads the configuration with read, and warns about its doubtful parts.
func load(o *commonOptions, read func() (*config.Config, error)) (*setup, error) {
	s, err := newSetup(o)
	if err != nil {
		return nil, err
	}
	if s.Config, err = read(); err != nil {
		usage := &usageError{err: err}
		switch {
		case errors.Is(err, fs.ErrPermission):
			usage.hints = []string{"you have to be able to read it: ls -ld " + quoted(o.configFile())}
		case len(s.hints(err)) == 0:
			s.reads(o.configFile())
			usage.hints = []string{"fix it, and check it: " + s.next("run", "--check")}
		}
		return nil, usage
	}
	if s.File != "" {
		s.reads(s.File)
	}
	for _, w := range s.Warnings {
		s.log.Warn(w)
	}
	if len(s.Ignored) > 0 {
		s.log.Debug(fmt.Sprintf("keys of %s that have no effect: %q", s.File, s.Ignored))
	}
	where, err := s.storeSettings(o, o.runs)
	if err == nil {
		where.Force = o.force
		s.store, err = where.open(s.log)
	}
	if err != nil {
		return nil, &usageError{err: err}
	}
	return s, nil
}

// wait shows that ebb waits, until its result is called.
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
