package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// endings are the signals that ask a process to end.
func endings() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// onSignals calls handle for each signal, with its number, until stop.
func onSignals(handle func(n int, sig os.Signal)) (stop func()) {
	heard := make(chan os.Signal, 2)
	signal.Notify(heard, endings()...)
	over := make(chan struct{})
	go func() {
		for n := 1; ; n++ {
			select {
			case <-over:
				return
			case sig := <-heard:
				handle(n, sig)
			}
		}
	}()
	return func() {
		signal.Stop(heard)
		close(over)
	}
}

// interruptible returns a context that the first signal cancels: what was begun is
// undone then. The second ends the process at once: what is pending stays pending.
func interruptible(parent context.Context, s *setup, replay string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	stop := onSignals(func(n int, sig os.Signal) {
		if n > 1 {
			s.secondSignal(sig, replay)
			os.Exit(exitPending)
		}
		s.firstSignal(sig.String())
		cancel()
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

func (s *setup) firstSignal(name string) {
	if err := s.progress.Interrupted(); err != nil {
		s.log.Debug(fmt.Sprintf("progress: %v", err))
	}
	s.log.Warn(fmt.Sprintf("received %s, rolling back; a second signal exits at once", name))
}

func (s *setup) secondSignal(sig os.Signal, replay string) {
	if err := s.progress.Interrupted(); err != nil {
		s.log.Debug(fmt.Sprintf("progress: %v", err))
	}
	s.log.Error(fmt.Sprintf("second signal (%s): exiting at once, what is not restored stays pending; replay it with: %s", sig, replay))
}
