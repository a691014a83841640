package supervisor

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/worker"
	"github.com/ebb-chaos/ebb/runner"
)

// Options say how workers are run. The zero value of each is a good default.
type Options struct {
	// Log receives lines about workers that end. Nil: no log.
	Log *slog.Logger

	// Output receives what workers write to [os.Stdout] and [os.Stderr]: their logs. It does not
	// receive what Go's runtime prints when a worker crashes. Nil: the standard error of this
	// process.
	Output io.Writer

	// Args are the arguments of workers, with the name of the program first. Nil: those of this
	// process.
	Args []string

	// Memory is the maximal heap of a worker in bytes; a worker that exceeds it is ended. 0: 4 GiB.
	// No undo needs a tenth of that, and the limit keeps the machine usable.
	Memory uint64

	// Silence is how long a worker may give no sign of life before it is ended: it may hang in a
	// step of the interpreter that can't be interrupted. 0: 10 s.
	Silence time.Duration

	// Grace is how long a worker may run after the context was cancelled before it is ended. It
	// should be longer than the grace of the runner. 0: [runner.DefaultGrace] and 3 s.
	Grace time.Duration

	// Finished is called with the first result of each version file. Nil: not called.
	Finished func(runner.Result)

	// Passed is called with each point that a worker passes. Nil: not called.
	Passed func(runner.Point)

	// KillAt kills a worker with SIGKILL at a point, as a power loss would. No other worker
	// continues, and the work returns an [*IncompleteError]. Use it to test a scenario. Nil: no
	// worker is killed.
	KillAt *KillAt

	// Abort is called if the work is done in this process, because no other process can be started,
	// and must be ended, because it uses too much memory or can't be stopped. Abort should end this
	// process; what is not restored stays pending. why completes a sentence that begins with "this
	// process". Nil: the work continues.
	Abort func(why string)
}

// The defaults of [Options].
const (
	DefaultMemory  = 4 << 30
	DefaultSilence = 10 * time.Second
	DefaultGrace   = runner.DefaultGrace + 3*time.Second
)

// Supervisor replays, runs and checks in workers. It does one of these at a time.
type Supervisor struct {
	options  Options
	settings []byte                                // encoded settings, for the workers
	build    func(*Worker) (*runner.Runner, error) // makes the runner in this process

	busy sync.Mutex // held during the work

	mu     sync.Mutex
	worker *process // nil if there is none
	killed bool
}

type process = worker.Process[order, event]

// New returns a supervisor. Its workers call build with settings to make their runners. Pass the
// same build to [Main]. Settings are copied by [encoding/gob], which copies exported fields.
func New[S any](build Build[S], settings S, o Options) (*Supervisor, error) {
	var encoded bytes.Buffer
	if err := gob.NewEncoder(&encoded).Encode(&boxed[S]{settings}); err != nil {
		return nil, fmt.Errorf("supervisor: settings: %w", err)
	}
	if o.Silence < 0 || o.Grace < 0 {
		return nil, fmt.Errorf("supervisor: options: got Silence %s and Grace %s, want 0 or more", o.Silence, o.Grace)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Output == nil {
		o.Output = os.Stderr
	}
	if o.Args == nil {
		o.Args = os.Args
	}
	if o.Memory == 0 {
		o.Memory = DefaultMemory
	}
	if o.Silence == 0 {
		o.Silence = DefaultSilence
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	return &Supervisor{
		options: o, settings: encoded.Bytes(),
		build: func(w *Worker) (*runner.Runner, error) { return build(settings, w) },
	}, nil
}

// boxed makes any type encodable, also one without exported fields.
type boxed[S any] struct{ Settings S }

// Kill ends the work at once. What is not restored stays pending. The method that was working
// returns a report of what is known, and an [*IncompleteError].
func (s *Supervisor) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killed = true
	if s.worker != nil {
		s.worker.Kill()
	}
}

func (s *Supervisor) wasKilled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.killed
}

// IncompleteError means that the work was not completed. The report that comes with it has the
// results so far. What is not restored stays pending.
type IncompleteError struct {
	Why    string
	Killed bool // at [Options.KillAt]
}

func (e *IncompleteError) Error() string { return e.Why }

// errNoProcess means that no worker can be started.
var errNoProcess = errors.New("no other process can be started")

// task is one replay, run or check, with the state that its workers share.
type task struct {
	*Supervisor
	ctx     context.Context
	does    string        // what the process does, for messages: "replays"
	stopped chan struct{} // closed when ctx is cancelled
	since   time.Time     // time of that; read it after stopped is closed
	over    func()
}

func (s *Supervisor) begin(ctx context.Context, does string) *task {
	s.busy.Lock()
	s.mu.Lock()
	s.killed = false
	s.mu.Unlock()
	t := &task{Supervisor: s, ctx: ctx, does: does, stopped: make(chan struct{})}
	stop := context.AfterFunc(ctx, func() {
		t.since = time.Now()
		close(t.stopped)
	})
	t.over = func() {
		stop()
		s.busy.Unlock()
	}
	return t
}

// interrupted returns how long ago the context was cancelled, or 0 if it was not.
func (t *task) interrupted() time.Duration {
	select {
	case <-t.stopped:
		return max(1, time.Since(t.since))
	default:
		return 0
	}
}

// ending is how one worker ended.
type ending struct {
	how     string // completes a sentence about the process; "" if it ended normally
	timeout bool   // it was ended after the grace
	killed  bool   // it was killed at KillAt
}

// givenUp returns why no other worker continues a replay or a run (what) after a worker that ended
// early, or "" if another worker may. err is the error if no worker was started. last is the last
// event of the worker.
func (t *task) givenUp(what string, err error, end ending, last *done) string {
	switch {
	case err != nil:
		return err.Error()
	case t.wasKilled():
		return "the " + what + " was ended"
	case end.timeout:
		return fmt.Sprintf("still not done %s after the interruption", t.options.Grace)
	case last != nil:
		return fmt.Sprintf("the %s could not go on: %v", what, last.Failure)
	}
	return ""
}

// isDone reports whether a worker has done its work, even if it failed after that.
func (t *task) isDone(end ending, last *done) bool {
	done := last != nil && last.Failure == nil
	if done && end.how != "" {
		t.options.Log.Warn(fmt.Sprintf("the process that %s %s after it had reported its result", t.does, end.how))
	}
	return done
}

// work runs one worker to its end. It returns an error if no worker could be started.
func (t *task) work(first order, handle func(event)) (ending, error) {
	p, err := worker.Start[order, event](worker.Options{
		Args: t.options.Args, Output: t.options.Output, Silence: t.options.Silence, Memory: t.options.Memory,
	})
	if err != nil {
		return ending{}, fmt.Errorf("%w: %w", errNoProcess, err)
	}
	first.Settings, first.KillAt = t.settings, t.options.KillAt
	first.Points = t.options.Passed != nil || first.KillAt != nil
	killed := false
	p.Order(first)
	t.mu.Lock()
	t.worker = p
	if t.killed {
		p.Kill()
	}
	t.mu.Unlock()
	over, timeout := make(chan struct{}), make(chan bool, 1)
	go func() { timeout <- t.passOn(p, over) }()
	end := p.Wait(func(e event) {
		if e.Passed == "" {
			handle(e)
			return
		}
		t.pass(e)
		killed = killed || e.Killed
	})
	close(over)
	t.mu.Lock()
	t.worker = nil
	t.mu.Unlock()
	if end.Said != "" {
		t.options.Log.Debug(fmt.Sprintf("the process that %s said: %s", t.does, end.Said))
	}
	return ending{how: end.How, timeout: <-timeout, killed: killed}, nil
}

// passOn sends the order to stop when the context is cancelled, and ends the worker if it is still
// running after the grace. It returns true if it has ended the worker.
func (t *task) passOn(p *process, over <-chan struct{}) (timeout bool) {
	select {
	case <-over:
		return false
	case <-t.stopped:
	}
	p.Order(order{Stop: &stopOrder{Cause: context.Cause(t.ctx).Error()}})
	timer := time.NewTimer(t.options.Grace - time.Since(t.since))
	defer timer.Stop()
	select {
	case <-over:
		return false
	case <-timer.C:
	}
	p.Kill()
	return true
}

// runnerInProcess makes a runner in this process, if no other process can be started.
func (t *task) runnerInProcess(err error) (*runner.Runner, error) {
	var few *worker.FileLimitError
	if errors.As(err, &few) {
		return nil, few // this process would have the same problem
	}
	t.options.Log.Warn(fmt.Sprintf("%v: going on in this one, which a bad file may end", err))
	w := &Worker{}
	if abort := t.options.Abort; abort != nil {
		w.Hooks.Stuck = func(where string) { abort(stuck(where)) }
		t.whileAtWork(func(working context.Context) { worker.WatchMemory(working, t.options.Memory, abort) })
	}
	r, err := t.build(w)
	if err != nil {
		return nil, err
	}
	if w.Stopping != nil {
		// Only during the work: a context is often cancelled afterwards.
		stop, over := context.AfterFunc(t.ctx, func() { w.Stopping(context.Cause(t.ctx).Error()) }), t.over
		t.over = func() {
			stop()
			over()
		}
	}
	return r, nil
}

// whileAtWork calls watch beside the work. It cancels the context of watch when the work has ended,
// and waits for its return. After that, this process belongs to the caller again and must not be
// aborted.
func (t *task) whileAtWork(watch func(context.Context)) {
	working, cancel := context.WithCancel(context.Background())
	done, over := make(chan struct{}), t.over
	go func() {
		defer close(done)
		watch(working)
	}()
	t.over = func() {
		cancel()
		<-done
		over()
	}
}
