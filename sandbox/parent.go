package main

import (
	"context"
	"io"
	"os"
	"time"
)

// The kernel's own signal for this (PR_SET_PDEATHSIG) is sent when the parent's
// thread ends, which in a Go program says nothing about the parent.
const parentPoll = 100 * time.Millisecond

// withParent returns a context that ends when the process that started this
// one is gone, however it went.
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
	// A parent that died before Getppid was asked goes unnoticed above. One
	// that holds the other end of our standard input does not.
	if info, err := stdin.Stat(); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		go func() {
			defer cancel()
			// An error means the same as the end: nobody is left to write.
			if _, err := io.Copy(io.Discard, stdin); err != nil {
				return
			}
		}()
	}
	return ctx
}
