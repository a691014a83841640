package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// lastWords is what a process has after its grace: it is over by then, unless
// something waits that can't be told to stop, such as a credential plugin that hangs or
// a terminal that reads no more. With the default grace that is less than the 30 s
// after which Kubernetes kills a pod.
const lastWords = 3 * time.Second

// endings are the signals that ask a process to end.
func endings() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// surviveReader makes a line that nobody reads an error of its write: who reads the log may
// end first, as Ctrl-C ends the tee behind ebb as well, and that must not end the undo.
func surviveReader() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// onSignals calls first for the first signal. It calls last, which ends the process, for a
// second SIGINT or SIGTERM, and when what was begun is still not done after the grace.
func onSignals(grace time.Duration, first, last func(why string)) (stop func()) {
	surviveReader()
	heard := make(chan os.Signal, 2)
	signal.Notify(heard, endings()...)
	over := make(chan struct{})
	go func() {
		var end <-chan time.Time
		for {
			select {
			case <-over:
				return
			case <-end:
				last(fmt.Sprintf("still not done %s after the signal", grace+lastWords))
			case sig := <-heard:
				switch {
				case end == nil:
					end = time.After(grace + lastWords)
					first(sig.String())
				case sig != syscall.SIGHUP: // a terminal that closes sends two, and systemd one after SIGTERM
					last(fmt.Sprintf("second signal (%s)", sig))
				}
			}
		}
	}()
	return func() {
		signal.Stop(heard)
		close(over)
	}
}

// interruptible returns a context that the first signal cancels: what was begun is
// undone then. A second SIGINT or SIGTERM ends the process at once, and so does the end
// of grace, whatever still hangs: what is pending stays pending.
func interruptible(parent context.Context, s *setup, grace time.Duration, replay string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	stop := onSignals(grace, func(sig string) {
		s.sayInterrupted(sig, "rolling back")
		cancel()
	}, func(why string) {
		s.sayEnding(why, replay)
		os.Exit(exitPending)
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

func (s *setup) sayInterrupted(sig, doing string) {
	s.say(slog.LevelWarn, fmt.Sprintf("received %s, %s; a second signal exits at once", sig, doing))
}

func (s *setup) sayEnding(why, replay string) {
	s.say(slog.LevelError, fmt.Sprintf("%s: exiting at once, what is not restored stays pending; replay it with: %s", why, replay))
}

// say logs what has to do with a signal. It waits a second at most: a log that nobody
// reads must not keep the process.
func (s *setup) say(level slog.Level, message string) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		if err := s.progress.Interrupted(); err != nil {
			s.log.Debug(fmt.Sprintf("progress: %v", err))
		}
		s.log.Log(context.Background(), level, message)
	}()
	select {
	case <-said:
	case <-time.After(time.Second):
	}
}
