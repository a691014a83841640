package main

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ebb-chaos/ebb/runner"
)

var signals = map[string]syscall.Signal{
	"kill": syscall.SIGKILL, "term": syscall.SIGTERM, "int": syscall.SIGINT, "hup": syscall.SIGHUP, "stop": syscall.SIGSTOP, "cont": syscall.SIGCONT,
}

// armed is main with points armed: EBB_KILL_AT=term@after-change:2,int@during-undo:1
// sends SIGTERM when it passes the first of them for the second time, and SIGINT when it
// passes the other. Without a signal it is SIGKILL, without a number it is the first time.
func armed() {
	var mines []*mine
	for _, text := range strings.Split(os.Getenv("EBB_KILL_AT"), ",") {
		if text == "" {
			continue
		}
		m, err := parseMine(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, "EBB_KILL_AT:", err)
			os.Exit(99) // no code that a test wants
		}
		mines = append(mines, m)
	}
	if len(mines) > 0 {
		reached = func(p runner.Point) {
			for _, m := range mines {
				if p == m.point && m.left.Add(-1) == 0 {
					shoot(m.signal)
				}
			}
		}
	}
	main()
}

// mine is a signal that waits at a point.
type mine struct {
	signal syscall.Signal
	point  runner.Point
	left   atomic.Int64
}

func parseMine(text string) (*mine, error) {
	name, at, ok := strings.Cut(text, "@")
	if !ok {
		name, at = "kill", text
	}
	sig, ok := signals[name]
	if !ok {
		return nil, fmt.Errorf("unknown signal %q", name)
	}
	point, count, ok := strings.Cut(at, ":")
	left, err := strconv.ParseInt(count, 10, 64)
	if ok && err != nil {
		return nil, err
	}
	m := &mine{signal: sig, point: runner.Point(point)}
	m.left.Store(max(1, left))
	return m, nil
}

// shoot sends a signal to the process that the user sees, and returns when it has heard it.
// Of a replay's two processes that is the one that was started; the other hears of it a moment later.
func shoot(sig syscall.Signal) {
	if slices.Contains(os.Args, "--"+workerFlag) {
		shootSupervisor(sig)
		return
	}
	heard := make(chan os.Signal, 1)
	caught := sig != syscall.SIGKILL && sig != syscall.SIGSTOP && !signal.Ignored(sig)
	if caught {
		signal.Notify(heard, sig)
		defer signal.Stop(heard)
	}
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		panic(err)
	}
	switch {
	case caught:
		<-heard
	case sig == syscall.SIGKILL:
		select {} // it is on its way
	}
}

// shootSupervisor returns when the worker that this is has heard of the signal, and not at
// all where it ends the worker.
func shootSupervisor(sig syscall.Signal) {
	second := false
	select {
	case <-stopping:
		second = sig != syscall.SIGHUP
	default:
	}
	if err := syscall.Kill(os.Getppid(), sig); err != nil {
		panic(err)
	}
	if sig == syscall.SIGKILL || second {
		select {} // it is on its way
	}
	select {
	case <-stopping:
	case <-time.After(5 * time.Second): // it is ignored
	}
}
