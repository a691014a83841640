package worker

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals are those that ask a process to end: SIGINT, SIGTERM, and SIGHUP unless this process was
// started to ignore it, as by nohup.
func Signals() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// SurviveReader makes a line that nobody reads an error of its write, instead of this process's end
// by SIGPIPE: who reads the log may end first, as Ctrl-C ends a tee behind it as well.
func SurviveReader() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }
