package main

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ebb-chaos/ebb/runner"
)

// counter shows how far a replay has got. It counts what there is to do beside the replay, which does not
// wait for it, from its first result on.
type counter struct {
	setup *setup
	all   func() (ours, krkns int, err error)
	one   func(last string)
	end   func()

	once  sync.Once
	over  chan struct{}
	ours  atomic.Int64 // 0 until it is known
	krkns int
	err   error
}

func (s *setup) newCounter(ctx context.Context, o selectionOptions) *counter {
	return s.counterOf(func() (int, int, error) { return s.selected(ctx, o) })
}

func (s *setup) counterOf(all func() (ours, krkns int, err error)) *counter {
	return &counter{setup: s, over: make(chan struct{}), all: all}
}

// count begins to count what there is, unless that was done.
func (c *counter) count() {
	c.once.Do(func() {
		go func() {
			defer close(c.over)
			var ours int
			ours, c.krkns, c.err = c.all()
			c.ours.Store(int64(ours))
		}()
	})
}

// counted waits until all is counted, and returns how many files only Krkn can replay.
func (c *counter) counted() (krkns int, err error) {
	c.count()
	<-c.over
	return c.krkns, c.err
}

func (c *counter) total() int { return int(c.ours.Load()) }

// begin shows the counter until its result is called. what is done to a file is a participle.
func (c *counter) begin(what string) (end func()) {
	c.one, c.end = c.setup.progress.Count(c.setup.log, c.total, what)
	return c.end
}

// finished is told of each file.
func (c *counter) finished(x runner.Result) {
	c.count()
	if c.one != nil {
		c.one(reportedName(x.File))
	}
}
