package runner

import "sync"

// readAhead bounds how many executions wait to be begun: no more are read until some are.
const readAhead = 16 << 10

// schedule has the chains that wait to be begun, in their order, while others are still being read.
type schedule struct {
	mu      sync.Mutex
	changed *sync.Cond
	clouds  []*chain // that need no Kubernetes API
	others  []*chain
	last    []*chain // of suspects
	waiting int      // executions of clouds and others
	turns   int      // of the chains that have one
	closed  bool     // nothing is added any more
}

func newSchedule() *schedule {
	s := &schedule{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// add adds the chains of one call of [ordering.chains], and waits until more may be read. Their turns
// are in their order. Suspects have theirs after all others.
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

// close says that all was added.
func (s *schedule) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.last {
		c.turn, s.turns = s.turns, s.turns+1
	}
	s.changed.Broadcast()
}

// next waits for the chain that is to be begun next. It is nil when there will be none.
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

// begin takes out a chain that may be begun now. All that it waits for was begun before it, so that
// those that are begun come to an end.
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

// take takes out the next chain. The first of all that have a turn can always be begun.
func (s *schedule) take() *chain {
	queues := []*[]*chain{&s.clouds, &s.others}
	if s.closed && len(s.clouds)+len(s.others) == 0 {
		queues = []*[]*chain{&s.last}
	}
	for _, queue := range queues {
		if len(*queue) > 0 && (*queue)[0].mayBegin() {
			c := (*queue)[0]
			(*queue)[0] = nil // what is begun is not held
			*queue = (*queue)[1:]
			return c
		}
	}
	return nil
}

// mayBegin reports whether all that a chain waits for was begun.
func (c *chain) mayBegin() bool {
	for _, other := range c.waits {
		if !other.begun {
			return false
		}
	}
	return true
}
