package patience

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However intervals overlap, each moment counts once.
func TestClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c clock
		began := time.Now()
		var stops []func()
		for _, start := range rapid.SliceOfN(rapid.Bool(), 1, 20).Draw(t, "steps") {
			if start || len(stops) == 0 {
				stops = append(stops, c.start(time.Now()))
				continue
			}
			stops[0]()
			stops[0]() // a second time does nothing
			stops = stops[1:]
		}
		for _, stop := range stops {
			stop()
		}
		if spent := c.spent(); spent < 0 || spent > time.Since(began) || spent != c.spent() {
			t.Fatalf("spent %s within %s, and %s when it stood still", spent, time.Since(began), c.spent())
		}
	})
}
