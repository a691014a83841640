package builtins

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ebb-chaos/ebb/internal/limits"
	"github.com/ebb-chaos/ebb/internal/patience"
	"go.starlark.net/starlark"
)

// EffectState is what was seen of the chaos of a scenario, in one word.
type EffectState string

// The states of an effect.
const (
	InForce     EffectState = "in force"     // from From to Until
	NoEffect    EffectState = "no effect"    // it was never in force
	EndedEarly  EffectState = "ended early"  // at Until, before its time was over
	NotObserved EffectState = "not observed" // the scenario can't see the chaos, or could not
)

// Effect is what was seen of the chaos of a scenario.
type Effect struct {
	State EffectState `json:"state"`
	Hit   []string    `json:"hit,omitempty"`  // the objects that it was in force on
	From  time.Time   `json:"from,omitzero"`  // when it was first seen
	Until time.Time   `json:"until,omitzero"` // when it was last seen
	Why   string      `json:"why,omitempty"`  // why it was not in force, or not observed, or not until the end
}

// Sight is the result of one check of the chaos.
type Sight struct {
	Hit    []string
	Absent error // why the chaos is not in force
	Unseen error // why it is not known whether it is in force
}

// EffectError means that the chaos was not in force for as long as planned. A script can't catch
// it.
type EffectError struct {
	Effect
	Planned time.Duration // planned duration
}

func (e *EffectError) Error() string {
	if e.State == EndedEarly {
		return fmt.Sprintf("the chaos ended early, after %s of %s: %s", e.Until.Sub(e.From).Round(time.Second/10), e.Planned, e.Why)
	}
	return "the chaos had no effect: " + e.Why
}

// How often hold checks the effect.
const (
	firstLook = 200 * time.Millisecond
	mostLooks = 10 // checks during a hold, if that leaves leastLook between two
	leastLook = time.Second
)

// Effect returns what was seen of the chaos of the session so far.
func (s *Session) Effect() Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.effect.State == "" {
		return Effect{State: NotObserved, Why: "the scenario does not say how"}
	}
	return s.effect
}

// watching reports whether the scenario can check its chaos.
func (s *Session) watching() bool { return s.Mode == Run && s.Look != nil }

// look checks once, and records the result.
func (s *Session) look(ctx context.Context) Sight {
	limited, cancel := context.WithTimeout(ctx, limits.Look)
	defer cancel()
	sight := s.Look(limited)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case sight.Absent != nil:
	case sight.Unseen != nil:
		if s.effect.State == "" {
			s.effect = Effect{State: NotObserved, Why: sight.Unseen.Error()}
		} else if s.effect.State == InForce {
			if s.effect.Why == "" {
				s.Log.Warn(fmt.Sprintf("whether the chaos is still in force can't be seen: %v", sight.Unseen))
			}
			s.effect.Why = "not observed any more: " + sight.Unseen.Error()
		}
	default:
		if s.effect.State != InForce {
			s.effect = Effect{State: InForce, From: now}
			s.Log.Info("Chaos is in force on: " + hitText(sight.Hit))
		}
		s.effect.Hit, s.effect.Until, s.effect.Why = sight.Hit, now, ""
	}
	return sight
}

func hitText(hit []string) string {
	const most = 20
	if len(hit) == 0 {
		return "what the scenario names"
	}
	text := strings.Join(hit[:min(len(hit), most)], ", ")
	if more := len(hit) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// absent records that the chaos is not in force, and returns the error for that.
func (s *Session) absent(why error, planned time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.effect.State == InForce {
		s.effect.State, s.effect.Why = EndedEarly, why.Error()
	} else {
		s.effect = Effect{State: NoEffect, Why: why.Error()}
	}
	return &EffectError{s.effect, planned}
}

// begun waits until the chaos is in force, which may take a while after the change. It gives up
// after a limit.
func (s *Session) begun(ctx context.Context, planned time.Duration) error {
	deadline := time.Now().Add(limits.Effect)
	for pause := firstLook; ; pause = min(2*pause, leastLook) {
		sight := s.look(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case sight.Absent == nil:
			return nil
		case time.Now().After(deadline):
			return s.absent(sight.Absent, planned)
		}
		if err := patience.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// still checks whether the chaos is in force. It returns an error only after two checks.
func (s *Session) still(ctx context.Context, planned time.Duration) error {
	sight := s.look(ctx)
	if sight.Absent == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if err := patience.Sleep(ctx, leastLook); err != nil {
		return err
	}
	if sight = s.look(ctx); sight.Absent == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	if s.lasted(planned) {
		return nil
	}
	return s.absent(sight.Absent, planned)
}

// lasted reports whether the chaos was seen in force for as long as planned. What a node takes back
// by itself once that time is over, while a slow cluster is still asked, has not ended early.
func (s *Session) lasted(planned time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return planned > 0 && s.effect.State == InForce && s.effect.Until.Sub(s.effect.From) >= planned
}

// Observed checks once, before the undo, if the scenario has never checked.
func (s *Session) Observed(ctx context.Context) error {
	s.mu.Lock()
	looked := s.effect.State != ""
	s.mu.Unlock()
	if looked || !s.watching() {
		return nil
	}
	return s.begun(ctx, 0)
}

// lookEvery returns the time between two looks at chaos that is held for so long.
func lookEvery(planned time.Duration) time.Duration {
	every := max(planned/mostLooks, leastLook)
	if limits.LookEvery > 0 {
		every = min(every, limits.LookEvery)
	}
	return every
}

type holdArgs struct {
	Seconds seconds           `star:"seconds"`
	Message string            `star:"message?"`
	Until   starlark.Callable `star:"until??"`
}

var effectFunctions = []*function{
	builtin("hold", Read, holdArgs{Message: "chaos is in force"}, hold),
}

// hold waits until the time is over or until returns true, and checks meanwhile that the chaos is
// in force.
func hold(c *call, a *holdArgs) (starlark.Value, error) {
	if c.Mode != Run {
		return nil, fmt.Errorf("can't be called %s: only run makes chaos", c.Mode)
	}
	planned := time.Duration(a.Seconds)
	if c.watching() {
		if err := c.begun(c.ctx, planned); err != nil {
			return nil, err
		}
	}
	done := c.progress(planned, a.Message)
	defer done()
	began := time.Now()
	deadline, every := began.Add(planned), lookEvery(planned)
	nextLook := began.Add(every)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		if a.Until != nil {
			if over, err := c.callback(a.Until); err != nil || over.Truth() {
				return starlark.None, err
			}
		}
		left := time.Until(deadline)
		if left <= 0 {
			break
		}
		if c.watching() && !time.Now().Before(nextLook) {
			if err := c.still(c.ctx, planned); err != nil {
				return nil, err
			}
			nextLook = time.Now().Add(every)
		}
		if a.Until == nil {
			pause = left
			if c.watching() {
				pause = min(left, max(time.Until(nextLook), time.Millisecond))
			}
		}
		if err := patience.Sleep(c.ctx, min(pause, left)); err != nil {
			return nil, err
		}
	}
	if a.Until != nil {
		return nil, &TimeoutError{fmt.Sprintf("%s: not over after %s", a.Message, planned)}
	}
	if c.watching() {
		return starlark.None, c.still(c.ctx, planned)
	}
	return starlark.None, nil
}
