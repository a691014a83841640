package runner

import (
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// pace bounds how many chains are replayed at the same time. Half as many go on after a server has
// said that there are too many requests, or has become slow; and one more after each chain in which it
// did neither.
type pace struct {
	most int
	load func() kube.Load

	mu      sync.Mutex
	free    *sync.Cond
	allowed int
	running int
	counted kube.Load     // what was taken into account
	best    time.Duration // that an answer took, on average, in any window so far; 0 is not known
}

// When an API server counts as slow. Sixteen at a time that share two cores with it wait for each other
// some 20 ms; one that queues requests takes seconds.
const (
	latencyWindow = 8 // answers
	slowAnswer    = time.Second
	slowTimes     = 4 // as long as at its best
)

func newPace(most int, load func() kube.Load) *pace {
	if most == 0 {
		most = DefaultParallel
	}
	p := &pace{most: most, allowed: most, load: load, counted: load()}
	p.free = sync.NewCond(&p.mu)
	return p
}

// begin waits until another chain may begin, and returns what is to be called at its end.
func (p *pace) begin() (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.running >= p.allowed {
		p.free.Wait()
	}
	p.running++
	return p.end
}

func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if p.isBusy(p.load()) {
		p.allowed = max(1, p.allowed/2)
	} else {
		p.allowed = min(p.most, p.allowed+1)
	}
	p.free.Broadcast()
}

// isBusy reports whether the server has more to do than it can since it was last asked about.
func (p *pace) isBusy(now kube.Load) bool {
	busy := now.Throttled > p.counted.Throttled
	p.counted.Throttled = now.Throttled
	n := now.Answers - p.counted.Answers
	if n < latencyWindow {
		return busy
	}
	took := (now.Took - p.counted.Took) / time.Duration(n)
	p.counted = now
	if p.best == 0 || took < p.best {
		p.best = took
	}
	return busy || took > slowAnswer && took > slowTimes*p.best
}
