package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

const (
	// A worker says that it is alive every second. One that is silent for so many times
	// hangs in a step of the runtime that can't be interrupted, such as moving gigabytes.
	silence = 10
	// laggards is how long a worker's events are waited for after its end.
	laggards = 2 * time.Second
	// mostOrders is more than a worker is ever given.
	mostOrders = 4
	// wellDone is how a worker should end.
	wellDone = "did well"
)

// child is a worker as its supervisor has it.
type child struct {
	cmd    *exec.Cmd
	events *os.File
	orders chan order
	pipe   *os.File // that orders are written to
	said   tail
}

// startWorker starts a worker. What it logs goes to stderr.
func startWorker(args []string, stderr io.Writer) (*child, error) {
	events, eventsIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ordersOut, pipe, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, events.Close(), eventsIn.Close())
	}
	w := &child{events: events, pipe: pipe, orders: make(chan order, mostOrders)}
	w.cmd = &exec.Cmd{
		Path: executable(), Args: args,
		Stdin: os.Stdin, Stdout: stderr, Stderr: &w.said, ExtraFiles: []*os.File{eventsIn, ordersOut},
		WaitDelay: laggards,
	}
	err = w.cmd.Start()
	err = errors.Join(err, eventsIn.Close(), ordersOut.Close())
	if err != nil {
		return nil, errors.Join(err, events.Close(), pipe.Close())
	}
	go func() {
		// Not in the way of anybody: a worker that is stopped reads nothing. An order that
		// can't be written is for one that has ended, which is seen elsewhere.
		encoder := json.NewEncoder(pipe)
		for o := range w.orders {
			if encoder.Encode(o) != nil {
				return
			}
		}
	}()
	return w, nil
}

// executable is this program, even if its file was replaced meanwhile.
func executable() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0] // the start says why not
	}
	return path
}

// wait gathers what the worker says until it ends, and returns how that was.
func (w *child) wait(g *gathered) (how string) {
	g.begin()
	read := make(chan error, 1)
	go func() { read <- g.read(w.events) }()
	over, silent := make(chan struct{}), make(chan bool, 1)
	go func() { silent <- w.watch(g, over) }()
	err := w.cmd.Wait()
	close(over)
	var exit *exec.ExitError
	if errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the state says it
	}
	// The pipe ends with the worker, unless something that it started still holds it.
	err = errors.Join(err, w.events.SetReadDeadline(time.Now().Add(laggards)), <-read, w.events.Close(), w.pipe.Close())
	wasSilent, state := <-silent, w.cmd.ProcessState
	switch {
	case g.fatal != "":
		return g.fatal
	case wasSilent:
		return fmt.Sprintf("did not answer for %d s", silence)
	case w.said.first() != "" && !state.Success():
		return fmt.Sprintf("crashed (%s)", w.said.first())
	case err != nil:
		return fmt.Sprintf("ended (%v, %v)", state, err)
	case g.done == nil || !state.Success():
		return fmt.Sprintf("ended (%v)", state)
	}
	return wellDone
}

// watch ends a worker that is silent, and reports whether it did. It counts its own turns
// and no time: after a Ctrl-Z both have been away.
func (w *child) watch(g *gathered, over <-chan struct{}) bool {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for missed, heard := 0, int64(-1); ; {
		select {
		case <-over:
			return false
		case <-ticker.C:
		}
		if now := g.heard.Load(); now != heard {
			missed, heard = 0, now
			continue
		}
		if missed++; missed == silence {
			w.end()
			return true
		}
	}
}

// end ends the worker, if it has not ended yet.
func (w *child) end() {
	if err := w.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		// Whoever waits for it goes on waiting.
		fmt.Fprintln(os.Stderr, "ebb: the process that replays could not be ended:", err)
	}
}
