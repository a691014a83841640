// Package killpoint ends a process, or signals it, at exact points of its work. Only a program that
// is built for tests has it.
//
// Start with [Parse], and call [Triggers.Reached] at each point.
//
// Avoid it in a program that users run: nothing in it may be armed from outside.
//
// Promised: a signal has been heard when Reached returns, or Reached does not return at all where
// the signal ends the process.
package killpoint

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// worker is the signal of a SIGKILL for a worker alone, as the kernel sends where memory is short.
const worker syscall.Signal = 0

// Signals are the signals that there are, by the names that they have in tests.
var Signals = map[string]syscall.Signal{
	"worker": worker, "kill": syscall.SIGKILL, "term": syscall.SIGTERM, "int": syscall.SIGINT, "hup": syscall.SIGHUP, "stop": syscall.SIGSTOP, "cont": syscall.SIGCONT,
}

// Process is the process that the points are in.
type Process struct {
	Worker   bool            // a worker: the process that a user signals is its parent
	Stopping <-chan struct{} // closed when a worker has heard that it is to stop
}

// Triggers are signals that wait at points.
type Triggers struct {
	process  Process
	triggers []*trigger
	sent     atomic.Int64
}

type trigger struct {
	signal syscall.Signal
	point  string
	left   atomic.Int64
}

// Parse reads triggers: term@after-change:2,int@during-undo:1 sends SIGTERM when the process passes the
// first of these points for the second time, and SIGINT when it passes the other. Without a signal it
// is SIGKILL, without a number it is the first time. No text is no triggers.
func Parse(text string, p Process) (*Triggers, error) {
	m := &Triggers{process: p}
	for _, part := range strings.Split(text, ",") {
		if part == "" {
			continue
		}
		one, err := parse(part)
		if err != nil {
			return nil, err
		}
		m.triggers = append(m.triggers, one)
	}
	return m, nil
}

func parse(text string) (*trigger, error) {
	name, at, ok := strings.Cut(text, "@")
	if !ok {
		name, at = "kill", text
	}
	sig, ok := Signals[name]
	if !ok {
		return nil, fmt.Errorf("unknown signal %q", name)
	}
	point, count, counted := strings.Cut(at, ":")
	left := int64(1)
	if counted {
		var err error
		if left, err = strconv.ParseInt(count, 10, 64); err != nil || left < 1 {
			return nil, fmt.Errorf("%q: got the number %q, want 1 or more", text, count)
		}
	}
	m := &trigger{signal: sig, point: point}
	m.left.Store(left)
	return m, nil
}

// Armed reports whether there are any.
func (m *Triggers) Armed() bool { return len(m.triggers) > 0 }

// Reached sends the signals that wait at a point.
func (m *Triggers) Reached(point string) {
	for _, one := range m.triggers {
		if one.point == point && one.left.Add(-1) == 0 {
			m.shoot(one.signal)
		}
	}
}

// shoot sends a signal to the process that the user sees, and returns when it has heard it. Of two
// processes, that is the one that was started; its worker hears of it a moment later.
func (m *Triggers) shoot(sig syscall.Signal) {
	ends := sig == syscall.SIGKILL || (sig == syscall.SIGINT || sig == syscall.SIGTERM) && m.sent.Load() > 0
	m.sent.Add(1)
	if sig == worker {
		send(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	caught := sig != syscall.SIGSTOP && !signal.Ignored(sig)
	seen := os.Getpid()
	heard := make(chan os.Signal, 1)
	if m.process.Worker {
		seen = os.Getppid()
	} else if caught {
		signal.Notify(heard, sig)
		defer signal.Stop(heard)
	}
	send(seen, sig)
	switch {
	case ends:
		select {} // it is on its way
	case caught:
		select {
		case <-heard:
		case <-m.process.Stopping:
		}
	}
}

func send(pid int, sig syscall.Signal) {
	if err := syscall.Kill(pid, sig); err != nil {
		panic(err)
	}
}
