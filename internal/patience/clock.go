package patience

import (
	"sync"
	"time"
)

// clock adds up time. Periods that overlap count once.
type clock struct {
	mu      sync.Mutex
	used    time.Duration
	running int
	since   time.Time
}

// start counts from the given time until stop is called.
func (c *clock) start(at time.Time) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == 0 {
		c.since = at
	}
	c.running++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.running--; c.running == 0 {
			c.used += time.Since(c.since)
		}
	})
}

func (c *clock) spent() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == 0 {
		return c.used
	}
	return c.used + time.Since(c.since)
}

// reset starts again at zero. Periods that are not over count from now.
func (c *clock) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used, c.since = 0, time.Now()
}
