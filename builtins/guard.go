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

// grantChange allows one change to each of refs: their rollback is durable.
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

// revokeChanges forgets every ref: the rollbacks that held them were replayed.
func (s *Session) revokeChanges() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.granted)
}

// useGrant uses up the grant for r, so that no second change follows the same
// rollback: its content would hold a state that is no longer the one before.
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

// change sends one changing request. The order is the whole point: the rollback
// is durable (useGrant), the mark says that the request is on its way, only then is
// it sent. The mark goes when the answer is known, and stays when it is not, or when
// it is that of a second attempt: the first may land after what the second made was undone.
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
		err = fmt.Errorf("can't note the request to %s %s: %w", verb, r.Text(), err)
		if s.Mode != Undo {
			return err
		}
		// A full disk must not stop an undo. Without its note, a replay after a kill does not
		// wait for this request; but it repeats the undo, so what may land late was wanted.
		s.Log.Warn(err.Error())
		answered = unnoted
	}
	mayArriveLate := false
	for {
		err = send(permit.With(kube.WithLateNote(sending, func() { mayArriveLate = true }), may.check))
		// This process may have slept just then: if it still may, it tries again.
		if !errors.As(err, new(*permit.RefusedError)) || sending.Err() != nil || may.ask(sending) != nil {
			break
		}
	}
	unmark := answered()
	switch {
	case err == nil:
		s.changed(verb, r)
	case lost(err) || sending.Err() != nil: // it may still land: keep the mark
		if ctx.Err() == nil && sending.Err() != nil {
			return fmt.Errorf("%w: %w", err, context.Cause(sending))
		}
		return err
	default:
		s.regrant(r) // a definite no changed nothing: the rollback still holds
	}
	if mayArriveLate {
		s.noteLate(Unsettled{verb, r, time.Now().Add(limits.Landing())})
	} else if uerr := unmark(); uerr != nil {
		// A mark that stays makes a replay wait longer, no more.
		s.Log.Warn(fmt.Sprintf("can't remove the note of the request to %s %s: %v", verb, r.Text(), uerr))
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

// unnoted is the end of a request that has no mark.
func unnoted() (unmark func() error) { return func() error { return nil } }

// note marks a request to change r until answered is called, whose result removes the
// mark. While a server is away the request is sent again and again, and any of the
// attempts may be the one that lands: so the mark is renewed for as long as it takes. In a
// run it is not sent any more when that fails.
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
			// First the new mark, then the old one goes: there is no moment without.
			newer, err := mark()
			if err == nil {
				err, unmark = unmark(), newer
			}
			if err != nil {
				s.Log.Warn(fmt.Sprintf("can't renew the note of the request to %s %s: %v", verb, r.Text(), err))
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

// answerLost reports whether a killed process, or this one, did not get the answer to a request to
// change r.
func (s *Session) answerLost(r Ref) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := func(u Unsettled) bool { return u.Ref == r || u.Ref == Ref{} }
	return slices.ContainsFunc(s.Unsettled, of) || slices.ContainsFunc(s.lateRequests, of)
}

// settle waits until no request of a killed process, and none that was given up here, can change r
// any more. Where r is known to exist, a create that was under way has landed and needs no wait.
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
		d = min(d, limits.Renew()+limits.Landing()) // a mark from a clock that was ahead
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
