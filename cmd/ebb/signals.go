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

// exitTimeout is how long a process may take to exit after its grace. By then only something that
// can't be interrupted is left, such as a credential plugin that hangs, or a terminal that reads
// nothing. Together with the default grace, it is less than the 30 s after which Kubernetes kills a
// pod.
const exitTimeout = 3 * time.Second

// repeatWindow is how long after a signal another one counts as the same request. timeout(1) sends
// a signal to the process and then to its group. A wrapper sends SIGTERM to its child after a
// terminal has sent SIGINT to both. No person is that fast.
var repeatWindow = time.Second

// interruption decides which signals are new requests.
type interruption struct {
	last os.Signal // the last new signal; nil before the first
	at   time.Time // when it arrived
}

// What a signal means.
type meaning int

const (
	nothingNew meaning = iota
	undo               // undo what was begun
	exitAtOnce
)

// hear records a signal and returns its meaning. Times are compared by their monotonic clock.
func (i *interruption) hear(sig os.Signal, at time.Time) meaning {
	first := i.last == nil
	switch {
	case !first && sig == syscall.SIGHUP: // a terminal that closes sends two, and systemd sends one after SIGTERM
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

// heardSignal is a signal with its time of arrival.
type heardSignal struct {
	os.Signal
	at time.Time
}

// listen is signal.Notify with times of arrival: a signal may be handled much later.
func listen() (heard <-chan heardSignal, stop func()) {
	signals, out := make(chan os.Signal, 8), make(chan heardSignal, 8)
	signal.Notify(signals, supervisor.Signals()...)
	go func() {
		for sig := range signals {
			select {
			case out <- heardSignal{sig, time.Now()}:
			default: // more signals than anybody needs
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		close(signals)
	}
}

// onSignals calls first for the first signal. It calls last, which ends the process, after a second
// SIGINT or SIGTERM, or if the undo is not done when the grace ends.
func onSignals(grace time.Duration, first, last func(why string)) (stop func()) {
	// With this, a write to a closed pipe is an error, and does not end the undo. The reader of the
	// log may end first: Ctrl-C also ends a tee behind ebb.
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

// sayInterrupted says what ebb does after a signal.
func (s *setup) sayInterrupted(sig, doing string) {
	s.say(slog.LevelWarn, fmt.Sprintf("received %s, %s; a second signal exits at once", sig, doing))
}

// sayEnding says why this process ends at once.
func (s *setup) sayEnding(why, replay string) {
	s.say(slog.LevelError, fmt.Sprintf("%s: exiting at once, what is not restored stays pending; replay it with: %s", why, replay))
}

// say logs a message about a signal. It waits for a second at most: a log that nobody reads must
// not keep the process from ending.
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
