package builtins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/limits"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/internal/permit"
)

// grantChange allows one change to each of refs, because their rollback is durable.
func (s *Session) grantChange(refs []Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.granted == nil {
		s.granted = map[Ref]bool{}
	}
	for _, r := range refs {
		s.granted[r] = true
	}
}

// revokeChanges revokes all grants, because the rollbacks were replayed.
func (s *Session) revokeChanges() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.granted)
}

// useGrant uses up the grant for r. A second change must not rely on the same rollback: its content
// has the state before the first change.
func (s *Session) useGrant(r Ref) error {
	if s.Mode != Run {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.granted[r] {
		return fmt.Errorf("%s has no rollback that was flushed after its last change: call set_rollback_callable(…, undoes = [%s]) first", r.Text(), r.Literal())
	}
	delete(s.granted, r)
	return nil
}

// change sends one changing request. The order matters: the rollback is durable (useGrant), then
// the request is marked, and only then is it sent. The mark is removed when the answer is known. It
// stays if there is no answer, or if the answer is that of a second attempt: the first one may
// still arrive, after the undo of the second.
func (s *Session) change(ctx context.Context, verb string, r Ref, send func(context.Context) error, lost func(error) bool) error {
	if err := s.useGrant(r); err != nil {
		return err
	}
	if verb != "delete" {
		s.voidAbsences()
	}
	may, err := s.permission(ctx)
	if err != nil {
		s.regrant(r)
		return fmt.Errorf("may not %s %s: %w", verb, r.Text(), err)
	}
	sending, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answered, err := s.note(verb, r, may, cancel)
	if err != nil {
		err = fmt.Errorf("can't mark the request to %s %s: %w", verb, r.Text(), err)
		if s.Mode != Undo {
			return err
		}
		// A full disk must not stop an undo. Without the mark, a replay after a kill does not wait
		// for this request. It repeats the undo, so a late arrival of the request does no harm.
		s.Log.Warn(err.Error())
		answered = unnoted
	}
	mayArriveLate := false
	for {
		err = send(permit.With(kube.WithLateNote(sending, func() { mayArriveLate = true }), may.check))
		// This process may have slept here. If it still has the execution, it tries again.
		if !errors.As(err, new(*permit.RefusedError)) || sending.Err() != nil || may.ask(sending) != nil {
			break
		}
	}
	unmark := answered()
	switch {
	case err == nil:
		s.changed(verb, r)
	case lost(err) || sending.Err() != nil: // it may still arrive: keep the mark
		if ctx.Err() == nil && sending.Err() != nil {
			return fmt.Errorf("%w: %w", err, context.Cause(sending))
		}
		return err
	default:
		s.regrant(r) // a refusal has changed nothing: the rollback is still valid
	}
	if mayArriveLate {
		s.noteLate(Unsettled{verb, r, time.Now().Add(limits.Landing())})
	} else if uerr := unmark(); uerr != nil {
		// A mark that stays only makes a replay wait longer.
		s.Log.Warn(fmt.Sprintf("can't remove the mark of the request to %s %s: %v", verb, r.Text(), uerr))
	}
	if err == nil && s.Told != nil {
		s.Told(verb, r, s.Identity(r))
	}
	if err == nil && s.Changed != nil {
		s.Changed()
	}
	return err
}

func (s *Session) regrant(r Ref) {
	if s.Mode == Run {
		s.grantChange([]Ref{r})
	}
}

// unnoted is called at the end of a request that has no mark.
func unnoted() (unmark func() error) { return func() error { return nil } }

// note marks a request to change r, until answered is called; its result removes the mark. While a
// server does not answer, the request is repeated, and any attempt may arrive. So the mark is
// renewed all the time. In a run, the request is not repeated if the renewal fails.
func (s *Session) note(verb string, r Ref, may *permission, stop func(error)) (answered func() (unmark func() error), err error) {
	if s.Mark == nil {
		return unnoted, nil
	}
	mark := func() (func() error, error) { return s.Mark(verb, r, time.Now().Add(limits.Renew()+limits.Landing())) }
	unmark, err := mark()
	if err != nil {
		return nil, err
	}
	over, ended := make(chan struct{}), make(chan struct{})
	asking, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(ended)
		ticker := time.NewTicker(limits.Renew())
		defer ticker.Stop()
		for {
			select {
			case <-over:
				return
			case <-ticker.C:
			}
			if err := may.ask(asking); err != nil && asking.Err() == nil {
				stop(err)
			}
			// Write the new mark before removing the old one, so that there is always a mark.
			newer, err := mark()
			if err == nil {
				err, unmark = unmark(), newer
			}
			if err != nil {
				s.Log.Warn(fmt.Sprintf("can't renew the mark of the request to %s %s: %v", verb, r.Text(), err))
				if s.Mode == Run {
					stop(err)
				}
			}
		}
	}()
	return func() func() error {
		close(over)
		cancel()
		<-ended
		return unmark
	}, nil
}

// noteLate records a request of this session that may still arrive at the server.
func (s *Session) noteLate(u Unsettled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lateRequests = append(s.lateRequests, u)
}

// answerLost reports whether the answer to a request to change r was lost, by this process or by a
// killed one.
func (s *Session) answerLost(r Ref) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := func(u Unsettled) bool { return u.Ref == r || u.Ref == Ref{} }
	return slices.ContainsFunc(s.Unsettled, of) || slices.ContainsFunc(s.lateRequests, of)
}

// settle waits until no request that a killed process has sent, or this one has given up, can
// change r any more. If r exists, a create has arrived and needs no wait.
func (s *Session) settle(ctx context.Context, match func(Ref) bool, exists bool) (waited bool, err error) {
	s.mu.Lock()
	unsettled := slices.Concat(s.Unsettled, s.lateRequests)
	s.mu.Unlock()
	for _, u := range unsettled {
		if u.Ref != (Ref{}) && !match(u.Ref) || exists && u.Verb == "create" {
			continue
		}
		d := time.Until(u.Until)
		if d <= 0 {
			continue
		}
		d = min(d, limits.Renew()+limits.Landing()) // the mark may be from a clock that was ahead
		what := fmt.Sprintf("a request to %s %s", u.Verb, u.Ref.Text())
		if u.Ref == (Ref{}) {
			what = "a request of the process that left this"
		}
		s.Log.Info(fmt.Sprintf("%s may still be under way, waiting %s", what, d.Round(time.Second/10)))
		done := s.progress(d, "request under way")
		err := patience.Sleep(ctx, d)
		done()
		if err != nil {
			return true, err
		}
		waited = true
	}
	return waited, nil
}
