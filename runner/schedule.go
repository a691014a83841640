package runner

import "sync"

// readAhead bounds how many executions may wait for their undo. No more are read until some have
// started.
const readAhead = 16 << 10

// schedule has the chains that wait for their undo, in order, while other executions are still
// being read.
type schedule struct {
	mu      sync.Mutex
	changed *sync.Cond
	clouds  []*chain // chains that need no Kubernetes API
	others  []*chain
	last    []*chain // chains of suspects
	waiting int      // executions of clouds and others
	turns   int      // number of turns that were given to chains
	closed  bool     // nothing is added any more
}

func newSchedule() *schedule {
	s := &schedule{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// add adds the chains of one call of [ordering.chains], in their order. It blocks until more
// executions may be read. Suspects go after all others.
func (s *schedule) add(chains []*chain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range chains {
		switch {
		case c.suspect:
			s.last = append(s.last, c)
			continue
		case c.cluster:
			s.others = append(s.others, c)
		default:
			s.clouds = append(s.clouds, c)
		}
		s.waiting += len(c.executions)
		c.turn, s.turns = s.turns, s.turns+1
	}
	s.changed.Broadcast()
	for s.waiting > readAhead {
		s.changed.Wait()
	}
}

// close says that nothing more will be added.
func (s *schedule) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.last {
		c.turn, s.turns = s.turns, s.turns+1
	}
	s.changed.Broadcast()
}

// next waits for the next chain to start. It returns nil if there will be none.
func (s *schedule) next() *chain {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if c := s.begin(); c != nil || s.closed {
			return c
		}
		s.changed.Wait()
	}
}

// begin removes and returns a chain that may start now. All chains that it waits for have started
// before it, so those that have started will end.
func (s *schedule) begin() *chain {
	c := s.take()
	if c == nil {
		return nil
	}
	c.begun = true
	if !c.suspect {
		s.waiting -= len(c.executions)
	}
	s.changed.Broadcast()
	return c
}

// take removes the next chain. The first chain that has a turn may always start.
func (s *schedule) take() *chain {
	queues := []*[]*chain{&s.clouds, &s.others}
	if s.closed && len(s.clouds)+len(s.others) == 0 {
		queues = []*[]*chain{&s.last}
	}
	for _, queue := range queues {
		if len(*queue) > 0 && (*queue)[0].mayBegin() {
			c := (*queue)[0]
			(*queue)[0] = nil // so that the queue does not keep it in memory
			*queue = (*queue)[1:]
			return c
		}
	}
	return nil
}

// mayBegin reports whether all chains that a chain waits for have started.
func (c *chain) mayBegin() bool {
	for _, other := range c.waits {
		if !other.begun {
			return false
		}
	}
	return true
}
