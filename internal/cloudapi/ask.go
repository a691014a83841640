package cloudapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/internal/reply"
)

// defaultLimit bounds one attempt, credentials included.
const defaultLimit = 15 * time.Second

// Options configure [NewAsker]. The zero value is fine.
type Options struct {
	// Patience is how long a service that gives no usable answer is asked again, in each
	// outage. Default 5 minutes.
	Patience time.Duration
	// TotalPatience bounds the time of all outages together. 0 is no bound.
	TotalPatience time.Duration
	// Logger hears about waiting. Default: nobody.
	Logger *slog.Logger
}

// Asker asks one service, as often as it takes. It is safe for concurrent use.
type Asker struct {
	service  string
	patience *patience.Patience
	limit    time.Duration // of one attempt
}

// NewAsker returns an asker of a service, named for messages.
func NewAsker(service string, o Options) *Asker {
	return &Asker{service: service, limit: defaultLimit, patience: patience.New(patience.Options{
		Server: service, Each: o.Patience, Total: o.TotalPatience, Log: o.Logger,
	})}
}

// Waited returns how long was waited so far, for the service or for what it does.
func (a *Asker) Waited() time.Duration { return a.patience.Waited() }

// Waiting counts the time until done is called as waited.
func (a *Asker) Waiting() (done func()) { return a.patience.Waiting() }

// Ask makes attempts until one is final. An attempt that returns a [*Retry] is made
// again; anything else is final. The context of an attempt has a deadline.
//
// For a change that is not the same when it is made twice, landed finds out
// whether an attempt without an answer was carried out. Nil means that another
// attempt does no harm.
func (a *Asker) Ask(ctx context.Context, attempt func(context.Context) error, landed func(context.Context) (bool, error)) error {
	w := a.patience.Begin()
	defer w.End()
	for doubt := false; ; {
		began := time.Now()
		err := a.bounded(ctx, w, attempt)
		var again *Retry
		if err != nil && ctx.Err() != nil {
			// Not an *Error: a script must not catch the end of its time.
			return fmt.Errorf("%s: %w", a.service, ctx.Err())
		}
		if !errors.As(err, &again) {
			a.answered(ctx, err)
			if err != nil && doubt {
				return &UnknownOutcomeError{err}
			}
			return err
		}
		doubt = doubt || again.Sent
		if err := w.Again(ctx, patience.Miss{Reason: reply.OneLine(again.Error()), After: again.After, Err: again.Err}, began); err != nil {
			return a.unavailable(err, doubt)
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

// answered notes a final attempt, unless what ended it was not the service.
func (a *Asker) answered(ctx context.Context, err error) {
	var e *Error
	if err == nil || errors.As(err, &e) && e.Code != 0 {
		a.patience.Answered(ctx)
	}
}

func (a *Asker) bounded(ctx context.Context, w *patience.Wait, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, w.Limit(a.limit))
	defer cancel()
	return attempt(ctx)
}

// unavailable is the error when patience is used up, or the context ended meanwhile.
func (a *Asker) unavailable(err error, doubt bool) error {
	var gone *patience.UnavailableError
	if !errors.As(err, &gone) {
		return fmt.Errorf("%s: %w", a.service, err)
	}
	e := &Error{
		Call: a.service, Reason: Unavailable, Err: gone,
		Message: fmt.Sprintf("no usable answer for %s: %s", gone.Waited.Round(time.Second/10), gone.Reason),
	}
	var cause *Error
	if errors.As(gone.Err, &cause) {
		e.Code = cause.Code
	}
	if doubt {
		return &UnknownOutcomeError{e}
	}
	return e
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
		if err := patience.Sleep(ctx, min(pause, left)); err != nil {
			return false, fmt.Errorf("%s: %w", a.service, err)
		}
	}
}
