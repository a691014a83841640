package runner

import "sync"

// crew runs work on goroutines that stay for what comes next. The interpreter takes a deep stack: a
// goroutine that is new to it spends its time on growing one.
type crew struct {
	next chan func()
	all  sync.WaitGroup
}

func newCrew() *crew { return &crew{next: make(chan func())} }

// do begins work, on a goroutine that has nothing to do if there is one.
func (c *crew) do(work func()) {
	select {
	case c.next <- work:
	default:
		c.all.Go(func() {
			work()
			for more := range c.next {
				more()
			}
		})
	}
}

// wait waits for all that was begun. Nothing is begun after it.
func (c *crew) wait() {
	close(c.next)
	c.all.Wait()
}
