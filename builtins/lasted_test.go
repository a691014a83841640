package builtins

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestLasted has chaos that is gone when it is asked for last. It has ended early unless it was seen
// for as long as planned.
func TestLasted(t *testing.T) {
	t.Parallel()
	began := time.Now()
	for name, test := range map[string]struct {
		planned time.Duration
		state   EffectState
	}{
		"longer":  {time.Second, InForce},
		"as long": {2 * time.Second, InForce},
		"shorter": {3 * time.Second, EndedEarly},
		"no time": {0, EndedEarly},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &Session{
				effect: Effect{State: InForce, From: began, Until: began.Add(2 * time.Second)},
				Look:   func(context.Context) Sight { return Sight{Absent: errors.New("it is gone")} },
			}
			err := s.still(t.Context(), test.planned)
			if got := s.Effect().State; got != test.state || (err == nil) != (test.state == InForce) {
				t.Errorf("got %q and %v, want %q", got, err, test.state)
			}
		})
	}
}
