package builtins_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ebb-chaos/ebb/builtins"
)

// TestSeen has chaos that is seen once, and then can't be seen any more, or is gone.
func TestSeen(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		then  builtins.Sight
		state builtins.EffectState
		why   string
	}{
		"again":    {builtins.Sight{Hit: []string{"a"}}, builtins.InForce, ""},
		"no more":  {builtins.Sight{Unseen: errors.New("no answer")}, builtins.InForce, "not observed any more: no answer"},
		"and gone": {builtins.Sight{Absent: errors.New("it is gone")}, builtins.EndedEarly, "it is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			looks := 0
			s := &builtins.Session{Mode: builtins.Run, Look: func(context.Context) builtins.Sight {
				if looks++; looks == 1 {
					return builtins.Sight{Hit: []string{"a"}}
				}
				return test.then
			}}
			_, err := call(t, s, "def main():\n    hold(0)\n")
			var ended *builtins.EffectError
			got := s.Effect()
			if errors.As(err, &ended) != (test.state == builtins.EndedEarly) || got.State != test.state || got.Why != test.why || got.Until.IsZero() {
				t.Errorf("got %v and %+v, want %q because %q", err, got, test.state, test.why)
			}
		})
	}
}
