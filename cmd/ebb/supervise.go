package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/console"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/supervisor"
)

// maxMemory limits the memory of a worker; 0 is the supervisor's default. The binary for tests sets
// it.
var maxMemory uint64

// supervised is a command whose work is done in workers.
type supervised struct {
	*supervisor.Supervisor
	setup  *setup
	ctx    context.Context // cancelled by the first signal
	killed chan struct{}   // closed when the process is ended at once
	once   sync.Once
	stop   func() // releases its resources
}

// supervise prepares a command that works in workers. The first signal stops the work. A second one
// ends this process, and so does the end of the grace.
func (s *setup) supervise(ctx context.Context, o *commonOptions, w workerSettings) (*supervised, error) {
	v := &supervised{setup: s, killed: make(chan struct{})}
	output := o.stderr
	if console.IsTerminal(s.progress) {
		if s.counts { // this process draws the bar
			output, w.Color = s.progress.Lines(), s.color(s.progress)
		} else {
			s.progress.Share()
		}
	}
	var err error
	v.Supervisor, err = supervisor.New(buildRunner, w, supervisor.Options{
		Log: s.log, Output: output, Args: o.args, Abort: s.abort, Finished: s.finished,
		Grace:  w.Times.Grace + time.Hour, // onSignals ends it sooner
		Memory: maxMemory,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	v.ctx = ctx
	stop := onSignals(w.Times.Grace, func(sig string) { cancel(errors.New(sig)) }, v.end)
	v.stop = func() {
		stop()
		cancel(nil)
	}
	return v, nil
}

// superviseReplay prepares a replay. Its total waiting time is limited, so that it ends even if the
// server fails again and again.
func (s *setup) superviseReplay(ctx context.Context, o *commonOptions, times timeOptions, force bool) (*supervised, error) {
	settings := s.settings(o, times)
	settings.Force, settings.TotalPatience = force, times.Timeout
	return s.supervise(ctx, o, settings)
}

// abort ends this process at once. It is for a process that does the work itself because it could
// not start a worker. why completes a sentence whose subject is the process.
func (s *setup) abort(why string) {
	s.log.Error("this process " + why + " and ends: what is not restored stays pending")
	os.Exit(exitPending)
}

// end ends the worker and then this process.
func (v *supervised) end(why string) {
	v.setup.sayEnding(why, v.setup.again)
	// If ending the worker takes too long, this process ends all the same.
	time.AfterFunc(time.Second, func() { os.Exit(exitPending) })
	v.once.Do(func() { close(v.killed) })
	v.Kill()
}

// wasKilled reports whether the work was ended at once. The reason was logged then.
func (v *supervised) wasKilled() bool {
	select {
	case <-v.killed:
		return true
	default:
		return false
	}
}

// afterKill clears what the worker has left on the terminal, and returns the exit code.
func (v *supervised) afterKill() error {
	if err := v.setup.progress.Clear(); err != nil {
		v.setup.log.Debug(fmt.Sprintf("progress: %v", err))
	}
	return outcomeError(exitPending)
}

// replayed reports the result of a replay and returns an error with the exit code.
func (v *supervised) replayed(report *runner.Report, err error, output string) error {
	var incomplete *supervisor.IncompleteError
	v.setup.reporter.replayed(report)
	switch {
	case v.wasKilled():
		return v.afterKill()
	case err == nil:
		return v.setup.finish(report, output)
	case !errors.As(err, &incomplete):
		return &untriedError{err}
	}
	v.setup.log.Error(fmt.Sprintf("%v: not all files were tried, what is not restored stays pending; replay it with: %s", err, v.setup.again))
	var outcome outcomeError
	if err := v.setup.finish(report, output); err != nil && !errors.As(err, &outcome) {
		return err
	}
	return outcomeError(exitPending)
}
