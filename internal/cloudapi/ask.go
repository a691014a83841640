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

// defaultLimit limits one attempt, including the search for credentials.
const defaultLimit = 15 * time.Second

// Options configure [NewAsker]. The zero value is fine.
type Options struct {
	// Patience is how long to repeat requests while a service gives no usable answer, in each
	// outage. Default 5 minutes.
	Patience time.Duration
	// TotalPatience limits the time of all outages together. 0 means no limit.
	TotalPatience time.Duration
	// Logger logs waits. Default: no log.
	Logger *slog.Logger
}

// Asker sends requests to one service, and repeats them. It is safe for concurrent use.
type Asker struct {
	service  string
	patience *patience.Patience
	limit    time.Duration // of one attempt
}

// NewAsker returns an asker for a service. Messages contain the service's name.
func NewAsker(service string, o Options) *Asker {
	return &Asker{service: service, limit: defaultLimit, patience: patience.New(patience.Options{
		Server: service, Each: o.Patience, Total: o.TotalPatience, Log: o.Logger,
	})}
}

// Waited returns how long the asker has waited so far, for the service or for the result of a
// change.
func (a *Asker) Waited() time.Duration { return a.patience.Waited() }

// Waiting counts the time until done is called as waiting time.
func (a *Asker) Waiting() (done func()) { return a.patience.Waiting() }

// Ask calls attempt until its result is final. After a [*Retry], it tries again; any other result
// is final. The context of an attempt has a deadline.
//
// Some changes can't be repeated safely. For them, landed finds out whether an attempt without an
// answer was carried out. Nil means that attempt can be repeated.
func (a *Asker) Ask(ctx context.Context, attempt func(context.Context) error, landed func(context.Context) (bool, error)) error {
	w := a.patience.Begin()
	defer w.End()
	for doubt := false; ; {
		began := time.Now()
		err := a.bounded(ctx, w, attempt)
		var again *Retry
		if err != nil && ctx.Err() != nil {
			// Not an *Error: a script must not catch the end of its time limit.
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

// answered records the end of an outage, unless the last attempt ended for another reason.
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

// unavailable returns the error after the patience is used up or the context has ended.
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

// How often Poll looks: soon at first, because a test's cloud is quick, and later less often,
// because a real one throttles.
const (
	firstLook = 50 * time.Millisecond
	lastLook  = 3 * time.Second
)

// Poll calls look until it returns true. It returns false when the limit is over. The time counts
// as waiting time.
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
