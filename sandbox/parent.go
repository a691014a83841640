package main

import (
	"context"
	"io"
	"os"
	"time"
)

// PR_SET_PDEATHSIG can't be used: the kernel sends that signal when the thread ends that started
// us, and a Go program may end a thread at any time.
const parentPoll = 100 * time.Millisecond

// withParent returns a context that ends when the process that started this one has ended, for
// whatever reason.
func withParent(ctx context.Context, stdin *os.File) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() {
		defer cancel()
		tick := time.NewTicker(parentPoll)
		defer tick.Stop()
		for os.Getppid() == parent {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	// If the parent died before Getppid was called, the check above misses that. If our standard
	// input is a pipe to the parent, its end shows it.
	if info, err := stdin.Stat(); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		go func() {
			defer cancel()
			// An error also means the end: nobody can write any more.
			if _, err := io.Copy(io.Discard, stdin); err != nil {
				return
			}
		}()
	}
	return ctx
}
