package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ebb-chaos/ebb/runner"
)

var signals = map[string]syscall.Signal{
	"worker": 0, "kill": syscall.SIGKILL, "term": syscall.SIGTERM, "int": syscall.SIGINT, "hup": syscall.SIGHUP, "stop": syscall.SIGSTOP, "cont": syscall.SIGCONT,
}

// armed is main with points armed: EBB_KILL_AT=term@after-change:2,int@during-undo:1
// sends SIGTERM when it passes the first of them for the second time, and SIGINT when it
// passes the other. Without a signal it is SIGKILL, without a number it is the first time. The
// signal "worker" is a SIGKILL for the worker alone, as the kernel sends where memory is short.
func armed() {
	_, working = os.LookupEnv("EBB_WORKER_OF")
	var mines []*mine
	for _, text := range strings.Split(os.Getenv("EBB_KILL_AT"), ",") {
		if text == "" {
			continue
		}
		m, err := parseMine(text)
		mustSet("EBB_KILL_AT", err)
		mines = append(mines, m)
	}
	if len(mines) > 0 {
		repeatWindow = 0 // each mine is a signal of its own
	}
	if text := os.Getenv("EBB_REPEAT_WINDOW"); text != "" {
		var err error
		repeatWindow, err = time.ParseDuration(text)
		mustSet("EBB_REPEAT_WINDOW", err)
	}
	if text := os.Getenv("EBB_MEMORY"); text != "" {
		mib, err := strconv.ParseUint(text, 10, 64)
		mustSet("EBB_MEMORY", err)
		maxMemory = mib << 20
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

// mustSet ends a process whose limits the test got wrong.
func mustSet(variable string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", variable, err)
		os.Exit(99) // no code that a test wants
	}
}

// working says that this process is a worker.
var working bool

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

// shots counts the signals that were sent.
var shots atomic.Int64

// shoot sends a signal to the process that the user sees, and returns when it has heard it,
// or not at all where the signal ends it. Of a replay's two processes it is the one that was
// started; the other, which this is, hears of it a moment later.
func shoot(sig syscall.Signal) {
	ends := sig == syscall.SIGKILL || (sig == syscall.SIGINT || sig == syscall.SIGTERM) && shots.Load() > 0
	shots.Add(1)
	if sig == signals["worker"] {
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
		select {}
	}
	caught := sig != syscall.SIGSTOP && !signal.Ignored(sig)
	seen := os.Getpid()
	heard := make(chan os.Signal, 1)
	if working {
		seen = os.Getppid()
	} else if caught {
		signal.Notify(heard, sig)
		defer signal.Stop(heard)
	}
	if err := syscall.Kill(seen, sig); err != nil {
		panic(err)
	}
	switch {
	case ends:
		select {} // it is on its way
	case caught:
		select {
		case <-heard:
		case <-stopping:
		}
	}
}
