package worker

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// beats is how many signs of life of a worker may be missing before it is ended.
	beats = 10
	// drainTimeout is how long after the end of a worker the next of its events, or of its output, is
	// waited for.
	drainTimeout = 2 * time.Second
	// mostOrders is more than the number of orders that a worker is sent before it reads the first
	// one.
	mostOrders = 4
)

// Options say how a worker is started.
type Options struct {
	// Args are its arguments, the name of the program included.
	Args []string

	// Output receives what the worker writes to its standard output, and to [os.Stderr].
	Output io.Writer

	// Silence is how long a worker may give no sign of life before it is ended: it may hang in a
	// step of the runtime that can't be interrupted, such as moving gigabytes.
	Silence time.Duration

	// Memory is the maximal heap of the worker, in bytes; a worker that exceeds it is ended.
	Memory uint64
}

// Process is a worker, in the process that started it. O is the type of orders, E that of events.
type Process[O, E any] struct {
	cmd     *exec.Cmd
	silence time.Duration
	events  *os.File
	pipe    *os.File // for orders
	said    tail

	mu     sync.Mutex
	orders chan O // nil once it is closed

	heard    atomic.Int64 // number of messages so far
	handling atomic.Bool  // the latest of them is being handled
	ended    atomic.Bool
	fatal    string
	drain    time.Duration // drainTimeout
}

// Start starts a worker.
func Start[O, E any](o Options) (*Process[O, E], error) {
	if err := CheckFileLimit(); err != nil {
		return nil, err
	}
	events, eventsIn, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ordersOut, pipe, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, events.Close(), eventsIn.Close())
	}
	p := &Process[O, E]{silence: o.Silence, events: events, pipe: pipe, orders: make(chan O, mostOrders), drain: drainTimeout}
	p.cmd = &exec.Cmd{
		Path: executable(), Args: o.Args, Env: mark(),
		Stdin: os.Stdin, Stdout: o.Output, Stderr: &p.said, ExtraFiles: []*os.File{eventsIn, ordersOut},
		WaitDelay: drainTimeout,
	}
	err = p.cmd.Start()
	err = errors.Join(err, eventsIn.Close(), ordersOut.Close())
	if err != nil {
		return nil, errors.Join(err, events.Close(), pipe.Close())
	}
	go p.write(p.orders, limits{Silence: o.Silence, Memory: o.Memory})
	return p, nil
}

// write writes orders. It blocks if the worker is stopped and reads nothing, and nobody waits for
// it. If an order can't be written, the worker has ended, which Wait finds out.
func (p *Process[O, E]) write(orders <-chan O, first limits) {
	encoder := gob.NewEncoder(p.pipe)
	if encoder.Encode(first) != nil {
		return
	}
	for order := range orders {
		if encoder.Encode(order) != nil {
			return
		}
	}
}

// Order sends an order to the worker. Call it only a few times. Once the worker has ended, it does
// nothing.
func (p *Process[O, E]) Order(order O) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.orders != nil {
		p.orders <- order
	}
}

func (p *Process[O, E]) endOrders() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.orders)
	p.orders = nil
}

// executable is the path of this program. It stays valid if the file is replaced.
func executable() string {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe"
	}
	path, err := os.Executable()
	if err != nil {
		return os.Args[0] // the start reports the error
	}
	return path
}

// Wait calls handle with the events of a worker, one at a time, until the worker ends. It returns
// how the worker ended.
func (p *Process[O, E]) Wait(handle func(E)) End {
	read := make(chan error, 1)
	go func() { read <- p.read(handle) }()
	over, silent := make(chan struct{}), make(chan bool, 1)
	go func() { silent <- p.watch(over) }()
	err := p.cmd.Wait()
	p.ended.Store(true)
	close(over)
	p.endOrders()
	var exit *exec.ExitError
	if errors.As(err, &exit) || errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the process state has it
	}
	// The pipe ends with the worker, unless a process that the worker has started keeps it open.
	err = errors.Join(err, p.events.SetReadDeadline(time.Now().Add(p.drain)), <-read, p.events.Close(), p.pipe.Close())
	wasSilent, state := <-silent, p.cmd.ProcessState
	end := End{Said: p.said.String()}
	switch {
	case p.fatal != "":
		end.How = p.fatal
	case wasSilent:
		end.How = fmt.Sprintf("did not answer for %s", p.silence)
	case p.said.first() != "" && !state.Success():
		end.How = fmt.Sprintf("crashed (%s)", p.said.first())
	case err != nil:
		end.How = fmt.Sprintf("ended (%v, %v)", state, err)
	case !state.Success():
		end.How = fmt.Sprintf("ended (%v)", state)
	}
	return end
}

// End is how a worker ended.
type End struct {
	// How says how the worker ended. It completes a sentence that begins with "the process":
	// "crashed (…)". It is "" for a worker that ended by itself without an error.
	How string

	// Said is the last line on its standard error, to which only the runtime writes.
	Said string
}

// remaining reads the events. After the end of the worker, each read has the whole time: handling an
// event may take longer than that, and those behind it are in the pipe.
type remaining[O, E any] struct{ *Process[O, E] }

func (r remaining[O, E]) Read(b []byte) (int, error) {
	if r.ended.Load() {
		if err := r.events.SetReadDeadline(time.Now().Add(r.drain)); err != nil {
			return 0, err
		}
	}
	return r.events.Read(b)
}

// read reads a worker's messages until its end.
func (p *Process[O, E]) read(handle func(E)) error {
	for decoder := gob.NewDecoder(remaining[O, E]{p}); ; {
		var message envelope[E]
		err := decoder.Decode(&message)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		p.heard.Add(1)
		if message.Fatal != "" {
			p.fatal = message.Fatal
		}
		if message.Event != nil {
			p.handling.Store(true)
			handle(*message.Event)
			p.handling.Store(false)
		}
	}
}

// watch ends a worker that gives no sign of life, and returns true if it has. It counts ticks of
// its own and not time: after Ctrl-Z, neither process has run. While an event is handled, nobody
// listens, and nothing is counted.
func (p *Process[O, E]) watch(over <-chan struct{}) bool {
	ticker := time.NewTicker(p.silence / beats)
	defer ticker.Stop()
	for missed, heard := 0, int64(-1); ; {
		select {
		case <-over:
			return false
		case <-ticker.C:
		}
		if now := p.heard.Load(); now != heard || p.handling.Load() {
			missed, heard = 0, now
			continue
		}
		if missed++; missed == beats {
			p.Kill()
			return true
		}
	}
}

// Kill ends the worker, if it has not ended yet. If it can't be ended, Wait does not return.
func (p *Process[O, E]) Kill() {
	started := descendants(p.cmd.Process.Pid) // before they lose their parent
	_ = p.cmd.Process.Kill()                  // it may have ended
	killAll(started)
}
