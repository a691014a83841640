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

// reached has a worker tell which points it passes, and kill itself at one of them. It does so by
// itself, since an order to do it would come a moment after the point. Points are passed by several
// goroutines.
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
	select {} // it is on its way
}

// pass takes in that a worker has passed a point. Where it was the last one, nobody goes on.
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
