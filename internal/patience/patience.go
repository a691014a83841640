package patience

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// Default is how long one outage is waited for.
	Default = 5 * time.Minute
	// MostPause is the longest wish of a server's that is heeded: it may say an hour.
	MostPause = 10 * time.Second

	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// silence is how long an attempt may go unanswered before it counts as waiting.
	silence = 5 * time.Second
	// impatientLimit is for attempts after patience was used up on a server that
	// still does not answer: each of many calls would hang for a full timeout.
	impatientLimit = 3 * time.Second
)

// Options say what is waited for, and for how long.
type Options struct {
	// Server begins the sentences about it: "API server https://10.0.0.1", "EC2".
	Server string
	// Each is how long one outage is waited for. Default 5 minutes.
	Each time.Duration
	// Total bounds the time of all outages together. 0 is no bound.
	Total time.Duration
	// FirstPause is the pause after a first attempt; each next one is twice as long, up to
	// 5 s. Default 100 ms.
	FirstPause time.Duration
	// Log hears of outages. Default: nobody.
	Log *slog.Logger
}

// Patience is the account of the time spent waiting for one server. It is safe for
// concurrent use.
type Patience struct {
	o Options

	outage clock // of the outage that goes on
	total  clock // of all outages
	busy   clock // that, and what was waited for otherwise

	mu     sync.Mutex
	report report
}

// New returns the patience with a server.
func New(o Options) *Patience {
	if o.Each == 0 {
		o.Each = Default
	}
	if o.FirstPause == 0 {
		o.FirstPause = firstPause
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Patience{o: o, report: report{server: o.Server, log: o.Log}}
}

// Waited returns how long was waited so far.
func (p *Patience) Waited() time.Duration { return p.busy.spent() }

// Waiting counts the time until done is called as waited. It is for what a server that answers
// does in its own time, and is charged to no outage.
func (p *Patience) Waiting() (done func()) { return p.busy.start(time.Now()) }

// Answered notes that the server is there, which ends an outage.
func (p *Patience) Answered(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.report.down {
		p.outage.reset()
		p.report.answered(ctx)
	}
}

// left returns the patience that all calls share.
func (p *Patience) left() time.Duration {
	left := p.o.Each - p.outage.spent()
	if p.o.Total > 0 {
		left = min(left, p.o.Total-p.total.spent())
	}
	return left
}

// Miss is an attempt that brought no usable answer.
type Miss struct {
	Reason string        // for the log, on one line
	After  time.Duration // the server's wish for the next attempt, or 0
	Err    error
}

// UnavailableError means that a server gave no usable answer until patience was used up.
// It wraps the last attempt's error.
type UnavailableError struct {
	Server string
	Reason string
	Waited time.Duration
	Err    error
}

func (e *UnavailableError) Unwrap() error { return e.Err }

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("%s does not answer (%s), waited %s", e.Server, e.Reason, e.Waited.Round(time.Millisecond))
}

// Wait is one call's part in the waiting. It waits for nothing before its first miss.
type Wait struct {
	p      *Patience
	pauses int

	mu    sync.Mutex
	over  bool
	since time.Time // of the first attempt that missed
	stop  []func()
}

// Begin is for a call. Its End has to be called.
func (p *Patience) Begin() *Wait { return &Wait{p: p} }

// Limit shortens an attempt's time to the patience that is left: a silent server would
// use up more than there is. A server that answers keeps its time when none is left.
func (w *Wait) Limit(normal time.Duration) time.Duration {
	left := w.left()
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if left <= 0 && !w.p.report.down {
		return normal
	}
	return min(normal, max(left, impatientLimit))
}

// left returns the patience that this call has.
func (w *Wait) left() time.Duration {
	left := w.p.left()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.since.IsZero() {
		left = min(left, w.p.o.Each-time.Since(w.since))
	}
	return left
}

// Again pauses before another attempt. It fails with an [*UnavailableError] when patience is
// used up, and with the context's error when that ends first.
func (w *Wait) Again(ctx context.Context, m Miss, began time.Time) error {
	if impatient(ctx) {
		return &UnavailableError{Server: w.p.o.Server, Reason: m.Reason, Waited: time.Since(began), Err: m.Err}
	}
	left := w.note(ctx, m.Reason, began)
	if left <= 0 {
		return &UnavailableError{Server: w.p.o.Server, Reason: m.Reason, Waited: w.waited(), Err: m.Err}
	}
	pause := min(w.p.o.FirstPause<<min(w.pauses, 10), lastPause)
	w.pauses++
	// Clients that lost the same server should not come back in step.
	pause = pause/2 + rand.N(pause/2+1)
	return Sleep(ctx, min(max(pause, min(m.After, MostPause)), left))
}

type impatientKey struct{}

// Impatient returns a context of calls that are not worth any waiting: the first attempt decides.
func Impatient(ctx context.Context) context.Context {
	return context.WithValue(ctx, impatientKey{}, true)
}

func impatient(ctx context.Context) bool {
	return ctx.Value(impatientKey{}) != nil
}

// Watch counts an attempt as waiting once it has been silent for a while: nobody has to guess
// what goes on. why is asked then. stop is for its end.
func (w *Wait) Watch(ctx context.Context, began time.Time, why func() string) (stop func() bool) {
	return time.AfterFunc(silence, func() {
		w.note(ctx, fmt.Sprintf("%s %s", why(), silence), began)
	}).Stop
}

// waited returns how long was waited: by this call, or by all in the outage or the total that
// ended its waiting.
func (w *Wait) waited() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	waited := max(w.p.outage.spent(), time.Since(w.since))
	if w.p.o.Total > 0 && w.p.total.spent() >= w.p.o.Total {
		waited = max(waited, w.p.total.spent())
	}
	return waited
}

// note charges the time since the attempt began and returns the patience that is left.
func (w *Wait) note(ctx context.Context, reason string, began time.Time) time.Duration {
	w.mu.Lock()
	if w.over { // it was answered just now
		w.mu.Unlock()
		return w.left()
	}
	if w.since.IsZero() {
		w.since = began
		w.stop = []func(){w.p.outage.start(began), w.p.total.start(began), w.p.busy.start(began)}
	}
	w.mu.Unlock()
	left := w.left()
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.p.report.missed(ctx, reason, max(left, 0))
	return left
}

// End stops the clock.
func (w *Wait) End() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	for _, stop := range w.stop {
		stop()
	}
	w.stop = nil
}

// Sleep waits for d, or for the end of the context, whose error it then returns.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
