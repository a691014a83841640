package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// interruptible returns a context that the first signal cancels: what was begun is
// undone then. The second ends the process at once: what is pending stays pending.
func interruptible(parent context.Context, s *setup, replay string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	heard := make(chan os.Signal, 2)
	signal.Notify(heard, signals...)
	over := make(chan struct{})
	go func() {
		for n := 1; ; n++ {
			select {
			case <-over:
				return
			case sig := <-heard:
				if err := s.progress.Interrupted(); err != nil {
					s.log.Debug(fmt.Sprintf("progress: %v", err))
				}
				if n > 1 {
					s.log.Error(fmt.Sprintf("second signal (%s): exiting at once, what is not restored stays pending; replay it with: %s", sig, replay))
					os.Exit(exitPending)
				}
				s.log.Warn(fmt.Sprintf("received %s, rolling back; a second signal exits at once", sig))
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(heard)
		close(over)
		cancel()
	}
}
