package cloudapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// defaultLimit bounds one attempt, credentials included.
	defaultLimit = 15 * time.Second
	firstPause   = 200 * time.Millisecond
	lastPause    = 5 * time.Second
	// mostPause is the longest wish of a server's that is heeded.
	mostPause = 30 * time.Second
	// logEvery is how often waiting is mentioned.
	logEvery = 10 * time.Second

	defaultPatience = 5 * time.Minute
)

// Asker asks one service, as often as it takes. It is safe for concurrent use.
type Asker struct {
	service  string
	patience time.Duration
	limit    time.Duration // of one attempt
	log      *slog.Logger

	away clock // without a usable answer
	busy clock // that, and waiting for what the service was asked to do

	mu     sync.Mutex
	logged time.Time
}

// NewAsker returns an asker of a service, named for messages. Patience is the total
// time that may be spent on a service that gives no usable answer, 5 minutes if 0. A
// nil log hears nothing.
func NewAsker(service string, patience time.Duration, log *slog.Logger) *Asker {
	if patience == 0 {
		patience = defaultPatience
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Asker{service: service, patience: patience, limit: defaultLimit, log: log}
}

// Waited returns how long was waited so far, for the service or for what it does.
func (a *Asker) Waited() time.Duration { return a.busy.spent() }

// Waiting counts the time until done is called as waited.
func (a *Asker) Waiting() (done func()) { return a.busy.start(time.Now()) }

// Ask makes attempts until one is final. An attempt that returns a [*Retry] is made
// again; anything else is final. The context of an attempt has a deadline.
//
// For a change that is not the same when it is made twice, landed finds out
// whether an attempt without an answer was carried out. Nil means that another
// attempt does no harm.
func (a *Asker) Ask(ctx context.Context, attempt func(context.Context) error, landed func(context.Context) (bool, error)) error {
	doubt, waiting := false, false
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		began := time.Now()
		err := a.bounded(ctx, attempt)
		var again *Retry
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			// Not an *Error: a script must not catch the end of its time.
			return fmt.Errorf("%s: %w", a.service, ctx.Err())
		case !errors.As(err, &again) && doubt:
			return &UnknownOutcomeError{err}
		case again == nil:
			return err
		}
		doubt = doubt || again.Sent
		if !waiting {
			waiting = true
			defer a.away.start(began)()
			defer a.busy.start(began)()
		}
		left := a.patience - a.away.spent()
		if left <= 0 {
			return a.unavailable(again, doubt)
		}
		a.missed(ctx, again, left)
		// Clients that lost the same server should not come back in step.
		wait := max(pause/2+rand.N(pause/2+1), min(again.After, mostPause))
		if err := sleep(ctx, min(wait, left)); err != nil {
			return fmt.Errorf("%s: %w", a.service, err)
		}
		if again.Sent && landed != nil {
			switch ok, err := landed(ctx); {
			case err != nil && ctx.Err() == nil:
				return &UnknownOutcomeError{err}
			case ok || err != nil:
				return err
			}
		}
	}
}

func (a *Asker) bounded(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.limit)
	defer cancel()
	return attempt(ctx)
}

// unavailable is the error when patience is used up.
func (a *Asker) unavailable(last *Retry, doubt bool) error {
	e := &Error{
		Call: a.service, Reason: Unavailable, Err: last.Err, Hint: "give it longer with --timeout",
		Message: fmt.Sprintf("no usable answer for %s: %v", a.away.spent().Round(time.Second/10), last.Err),
	}
	var cause *Error
	if errors.As(last.Err, &cause) {
		e.Code = cause.Code
	}
	if doubt {
		return &UnknownOutcomeError{e}
	}
	return e
}

// missed logs an attempt without a usable answer, but not each of many.
func (a *Asker) missed(ctx context.Context, m *Retry, left time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); a.logged.IsZero() || now.Sub(a.logged) >= logEvery {
		a.logged = now
		a.log.WarnContext(ctx, fmt.Sprintf("%s gives no usable answer (%v), asking again for up to %s", a.service, m.Err, left.Round(time.Second)))
	}
}

// How often what was asked for is looked at: soon at first, since a test's cloud is
// quick, and not so often that a real one throttles.
const (
	firstLook = 50 * time.Millisecond
	lastLook  = 3 * time.Second
)

// Poll looks until there is something to see, and reports false when the limit is over.
// The time counts as waited.
func (a *Asker) Poll(ctx context.Context, limit time.Duration, look func(context.Context) (bool, error)) (bool, error) {
	defer a.Waiting()()
	deadline := time.Now().Add(limit)
	for pause := firstLook; ; pause = min(pause+pause/2, lastLook) {
		seen, err := look(ctx)
		if seen || err != nil {
			return seen, err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		if err := sleep(ctx, min(pause, left)); err != nil {
			return false, fmt.Errorf("%s: %w", a.service, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
