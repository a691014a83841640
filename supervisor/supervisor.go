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

// Options say how workers are kept. The zero value of each is a good default.
type Options struct {
	// Log is told of what becomes of workers. Nil: nobody.
	Log *slog.Logger

	// Output is where workers write to, on their [os.Stdout] and [os.Stderr] alike: their logs.
	// What Go's runtime says when a worker crashes is not among it. Nil: this process's standard
	// error.
	Output io.Writer

	// Args are the workers' arguments, the program's name first. Nil: those of this process.
	Args []string

	// Memory ends a worker whose heap is larger, in bytes. No undo needs a tenth of the default,
	// and the machine, which is perhaps the last good one of a half-broken cluster, stays usable.
	// 0: 4 GiB.
	Memory uint64

	// Silence ends a worker that does not say for so long that it is alive: it hangs in a step of
	// the interpreter that can't be interrupted. 0: 10 s.
	Silence time.Duration

	// Grace ends a worker that is not done so long after the context was cancelled. It should be
	// more than the runner's own. 0: that of [runner.DefaultGrace] and 3 s.
	Grace time.Duration

	// Finished is told of the first result of each version file. Nil: nobody.
	Finished func(runner.Result)

	// Passed is told of each point that a worker passes. Nil: nobody.
	Passed func(runner.Point)

	// KillAt kills a worker with SIGKILL at a point, and no other worker goes on: what a power loss
	// there would leave is left. The work returns an [*IncompleteError] then. It is for those who
	// test a scenario. Nil: no worker is killed.
	KillAt *KillAt

	// Abort is called where no other process can be started, so that the work is done in this one,
	// and the work has to be ended because it takes too much memory or can't be stopped. why
	// completes a sentence about the process. Abort ends the process: what is not restored stays
	// pending. Nil: the work goes on.
	Abort func(why string)
}

// The defaults of [Options].
const (
	DefaultMemory  = 4 << 30
	DefaultSilence = 10 * time.Second
	DefaultGrace   = runner.DefaultGrace + 3*time.Second
)

// Supervisor has replays, runs and checks done by workers. It does one at a time.
type Supervisor struct {
	options  Options
	settings []byte                                // of the program, for its workers
	build    func(*Worker) (*runner.Runner, error) // in this process

	busy sync.Mutex // held by what is being done

	mu     sync.Mutex
	worker *process // nil between two
	killed bool
}

type process = worker.Process[order, event]

// New returns a supervisor whose workers make their runners by calling build with settings, as
// [Main] does with the same function. Settings are copied as [encoding/gob] does: their exported
// fields.
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

// boxed lets any type be encoded, also one without exported fields.
type boxed[S any] struct{ Settings S }

// Kill ends the work at once: what is not restored stays pending. What is being done returns a
// report of what is known, and an [*IncompleteError].
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

// IncompleteError means that the work could not be done to its end. What came of a part of it is in
// the report that comes with it; what is not restored stays pending.
type IncompleteError struct {
	Why    string
	Killed bool // at [Options.KillAt]
}

func (e *IncompleteError) Error() string { return e.Why }

// errNoProcess means that no worker can be started.
var errNoProcess = errors.New("no other process can be started")

// task is one replay, run or check: what is common to its workers.
type task struct {
	*Supervisor
	ctx     context.Context
	does    string        // "replays": what the process does, for messages
	stopped chan struct{} // closed when ctx is cancelled
	since   time.Time     // when that was; read after stopped
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

// interrupted is how long ago the context was cancelled, 0 if it was not.
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
	how     string // completes a sentence about it; "" if it ended as it should
	timeout bool   // it was ended because it was not done in time
	killed  bool   // at KillAt
}

// givenUp says why no other worker goes on with what, a replay or a run, after one that ended before
// it was done: "" if another one may. err is why there was no worker, last what it said last.
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

// isDone reports whether a worker has done its work, whatever became of it after that.
func (t *task) isDone(end ending, last *done) bool {
	done := last != nil && last.Failure == nil
	if done && end.how != "" {
		t.options.Log.Warn(fmt.Sprintf("the process that %s %s after it had reported its result", t.does, end.how))
	}
	return done
}

// work runs one worker to its end. The error says why there is no worker.
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

// passOn tells a worker when the context is cancelled, and ends it when it is not done in time. It
// reports whether it did.
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

// runnerInProcess makes a runner in this process, where no other can be started.
func (t *task) runnerInProcess(err error) (*runner.Runner, error) {
	var few *worker.FileLimitError
	if errors.As(err, &few) {
		return nil, few // nor would it go well here
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
		// Only while it works: a context may well be cancelled when all is done.
		stop, over := context.AfterFunc(t.ctx, func() { w.Stopping(context.Cause(t.ctx).Error()) }), t.over
		t.over = func() {
			stop()
			over()
		}
	}
	return r, nil
}

// whileAtWork has watch run beside the work. Its context is cancelled when the work has ended, and
// its return is waited for: this process is then the caller's again, and must not be aborted.
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
