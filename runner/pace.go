package runner

import "sync"

// pace bounds how many chains are replayed at the same time. Half as many go on after a server has
// said that there are too many requests, and one more after each chain in which none did.
type pace struct {
	most      int
	throttled func() int64 // how often a server has said so

	mu      sync.Mutex
	free    *sync.Cond
	allowed int
	running int
	counted int64 // of throttled
}

func newPace(most int, throttled func() int64) *pace {
	if most == 0 {
		most = DefaultParallel
	}
	p := &pace{most: most, allowed: most, throttled: throttled, counted: throttled()}
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
	if n := p.throttled(); n > p.counted {
		p.counted, p.allowed = n, max(1, p.allowed/2)
	} else {
		p.allowed = min(p.most, p.allowed+1)
	}
	p.free.Broadcast()
}
