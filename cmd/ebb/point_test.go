package main

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/ebb-chaos/ebb/runner"
)

// armed is main with a point armed: EBB_KILL_AT=after-change:2 ends the process, as
// SIGKILL does, when it passes that point for the second time.
func armed() {
	name, count, _ := strings.Cut(os.Getenv("EBB_KILL_AT"), ":")
	if name != "" {
		left, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			left = 1
		}
		var passed atomic.Int64
		reached = func(p runner.Point) {
			if string(p) == name && passed.Add(1) == left {
				if err := syscall.Kill(seen(), syscall.SIGKILL); err != nil {
					panic(err)
				}
				select {} // the signal is on its way
			}
		}
	}
	main()
}

// seen is the process that a user sees: of a replay's two, the one that was started.
func seen() int {
	if slices.Contains(os.Args, "--"+workerFlag) {
		return os.Getppid()
	}
	return os.Getpid()
}
