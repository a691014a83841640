package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ebb-chaos/ebb/supervisor"
)

// exitTimeout is what a process has after its grace: it is over by then, unless something waits
// that can't be told to stop, such as a credential plugin that hangs or a terminal that reads no more.
// With the default grace that is less than the 30 s after which Kubernetes kills a pod.
const exitTimeout = 3 * time.Second

// repeatWindow is how soon after a signal another one is the same request: timeout(1) sends one to the
// process and then to its group, and a wrapper sends SIGTERM on to its child when a terminal has sent
// SIGINT to both. No person is that fast.
var repeatWindow = time.Second

// interruption decides which signals are new.
type interruption struct {
	last os.Signal // that was new; nil before the first
	at   time.Time // when it was heard
}

// What a signal means.
type meaning int

const (
	nothingNew meaning = iota
	undo               // what was begun
	exitAtOnce
)

// hear takes in a signal. Times are compared by their monotonic clock.
func (i *interruption) hear(sig os.Signal, at time.Time) meaning {
	first := i.last == nil
	switch {
	case !first && sig == syscall.SIGHUP: // a terminal that closes sends two, and systemd one after SIGTERM
		return nothingNew
	case !first && at.Sub(i.at) < repeatWindow:
		return nothingNew
	}
	i.last, i.at = sig, at
	if first {
		return undo
	}
	return exitAtOnce
}

// heardSignal is a signal with the time at which it came.
type heardSignal struct {
	os.Signal
	at time.Time
}

// listen is signal.Notify with times: who handles a signal may take a while for it.
func listen() (heard <-chan heardSignal, stop func()) {
	signals, out := make(chan os.Signal, 8), make(chan heardSignal, 8)
	signal.Notify(signals, supervisor.Signals()...)
	go func() {
		for sig := range signals {
			select {
			case out <- heardSignal{sig, time.Now()}:
			default: // nobody needs that many
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		close(signals)
	}
}

// onSignals calls first for the first signal. It calls last, which ends the process, for a
// second SIGINT or SIGTERM, and when what was begun is still not done after the grace.
func onSignals(grace time.Duration, first, last func(why string)) (stop func()) {
	// A line that nobody reads is an error of its write, and not the end of the undo: who reads the log may
	// end first, as Ctrl-C ends the tee behind ebb as well.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	heard, deaf := listen()
	over := make(chan struct{})
	go func() {
		var end <-chan time.Time
		var i interruption
		for {
			select {
			case <-over:
				return
			case <-end:
				last(fmt.Sprintf("still not done %s after the signal", grace+exitTimeout))
			case sig := <-heard:
				switch i.hear(sig.Signal, sig.at) {
				case undo:
					end = time.After(grace + exitTimeout - time.Since(sig.at))
					first(sig.String())
				case exitAtOnce:
					last(fmt.Sprintf("second signal (%s)", sig))
				}
			}
		}
	}()
	return func() {
		deaf()
		close(over)
	}
}

// sayInterrupted says what is done after a signal.
func (s *setup) sayInterrupted(sig, doing string) {
	s.say(slog.LevelWarn, fmt.Sprintf("received %s, %s; a second signal exits at once", sig, doing))
}

// sayEnding says why this process ends at once.
func (s *setup) sayEnding(why, replay string) {
	s.say(slog.LevelError, fmt.Sprintf("%s: exiting at once, what is not restored stays pending; replay it with: %s", why, replay))
}

// say logs what has to do with a signal. It waits a second at most: a log that nobody
// reads must not keep the process.
func (s *setup) say(level slog.Level, message string) {
	said := make(chan struct{})
	go func() {
		defer close(said)
		s.log.Log(context.Background(), level, message)
	}()
	select {
	case <-said:
	case <-time.After(time.Second):
	}
}
