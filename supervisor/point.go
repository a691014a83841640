package supervisor

import (
	"fmt"
	"os"

	"github.com/ebb-chaos/ebb/runner"
)

// KillAt says where a worker is killed: when it passes a point for the nth time, counted from 1.
type KillAt struct {
	Point runner.Point
	Nth   int
}

func (k KillAt) String() string {
	if k.Nth == 1 {
		return string(k.Point)
	}
	return fmt.Sprintf("%s (%d)", k.Point, k.Nth)
}

// reached makes a worker report the points that it passes, and kill itself at one of them. The
// worker does that itself, because an order would arrive after the point. Several goroutines pass
// points.
func (h *workerTask) reached(p runner.Point) {
	h.points.Lock()
	defer h.points.Unlock()
	h.passed[p]++
	kill := h.first.KillAt
	last := kill != nil && *kill == KillAt{p, h.passed[p]}
	h.inside.Tell(event{Passed: p, Killed: last})
	if !last {
		return
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		h.inside.Fatal(fmt.Sprintf("could not be killed: %v", err))
	}
	select {} // until the signal arrives
}

// pass records that a worker has passed a point. If it was killed there, no other worker continues.
func (s *Supervisor) pass(e event) {
	if s.options.Passed != nil {
		s.options.Passed(e.Passed)
	}
	if e.Killed {
		s.mu.Lock()
		s.killed = true
		s.mu.Unlock()
	}
}
