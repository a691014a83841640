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
	// Default is how long to wait in one outage.
	Default = 5 * time.Minute
	// MostPause is the longest pause that a server can ask for: some ask for an hour.
	MostPause = 10 * time.Second

	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// silence is how long an attempt may get no answer before it counts as waiting.
	silence = 5 * time.Second
	// impatientLimit limits attempts after the patience is used up and the server still does not
	// answer. Otherwise each of many calls would wait for a full timeout.
	impatientLimit = 3 * time.Second
)

// Options say which server to wait for, and how long.
type Options struct {
	// Server is the beginning of sentences about it: "API server https://10.0.0.1", "EC2".
	Server string
	// Each is how long to wait in one outage. Default 5 minutes.
	Each time.Duration
	// Total limits the time of all outages together. 0 means no limit.
	Total time.Duration
	// FirstPause is the pause after a first attempt; each next one is twice as long, up to
	// 5 s. Default 100 ms.
	FirstPause time.Duration
	// Log gets messages about outages. Default: no log.
	Log *slog.Logger
}

// Patience counts the time spent waiting for one server. It is safe for concurrent use.
type Patience struct {
	o Options

	outage clock // of the present outage
	total  clock // of all outages
	busy   clock // all outages, and other waiting

	mu     sync.Mutex
	report report
}

// New returns the patience for a server.
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

// Waited returns how long the calls have waited so far.
func (p *Patience) Waited() time.Duration { return p.busy.spent() }

// Waiting counts the time until done is called as waiting time. It is for work of a server that
// does answer, and counts for no outage.
func (p *Patience) Waiting() (done func()) { return p.busy.start(time.Now()) }

// Answered records that the server has answered, which ends an outage.
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

// Miss is an attempt without a usable answer.
type Miss struct {
	Reason string        // for the log, on one line
	After  time.Duration // the pause that the server asked for, or 0
	Err    error
}

// UnavailableError means that a server gave no usable answer until the patience was used up. It
// wraps the error of the last attempt.
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

// Wait is the waiting of one call. It begins with the first miss.
type Wait struct {
	p      *Patience
	pauses int

	mu    sync.Mutex
	over  bool
	since time.Time // of the first missed attempt
	stop  []func()
}

// Begin begins a call. Its End must be called.
func (p *Patience) Begin() *Wait { return &Wait{p: p} }

// Limit reduces the time of an attempt to the patience that is left, because a silent server would
// use up more. If the server answers, an attempt keeps its time even if no patience is left.
func (w *Wait) Limit(normal time.Duration) time.Duration {
	left := w.left()
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	if left <= 0 && !w.p.report.down {
		return normal
	}
	return min(normal, max(left, impatientLimit))
}

// left returns the patience of this call.
func (w *Wait) left() time.Duration {
	left := w.p.left()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.since.IsZero() {
		left = min(left, w.p.o.Each-time.Since(w.since))
	}
	return left
}

// Again pauses before another attempt. It returns an [*UnavailableError] when the patience is used
// up, and the error of the context if that ends first.
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
	// Random, so that many clients of one server do not return at the same moment.
	pause = pause/2 + rand.N(pause/2+1)
	return Sleep(ctx, min(max(pause, min(m.After, MostPause)), left))
}

type impatientKey struct{}

// Impatient returns a context for calls that should not wait: the first attempt decides.
func Impatient(ctx context.Context) context.Context {
	return context.WithValue(ctx, impatientKey{}, true)
}

func impatient(ctx context.Context) bool {
	return ctx.Value(impatientKey{}) != nil
}

// Watch counts an attempt as waiting after it has got no answer for a while, and calls why then.
// stop is called at the end of the attempt.
func (w *Wait) Watch(ctx context.Context, began time.Time, why func() string) (stop func() bool) {
	return time.AfterFunc(silence, func() {
		w.note(ctx, fmt.Sprintf("%s %s", why(), silence), began)
	}).Stop
}

// waited returns the waiting time of this call, or of all calls if their outage or total time ended
// this one.
func (w *Wait) waited() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	waited := max(w.p.outage.spent(), time.Since(w.since))
	if w.p.o.Total > 0 && w.p.total.spent() >= w.p.o.Total {
		waited = max(waited, w.p.total.spent())
	}
	return waited
}

// note counts the time since the attempt began, and returns the patience that is left.
func (w *Wait) note(ctx context.Context, reason string, began time.Time) time.Duration {
	w.mu.Lock()
	if w.over { // another call has just been answered
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

// Sleep waits for d. If the context ends first, it returns the error of the context.
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
