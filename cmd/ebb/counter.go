package main

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ebb-chaos/ebb/runner"
)

// counter shows the progress of a replay. It counts the files in the background from the first
// result on, so that the replay does not wait for it.
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

// count starts counting, unless that was done before.
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

// counted waits for the count, and returns how many files only Krkn can replay.
func (c *counter) counted() (krkns int, err error) {
	c.count()
	<-c.over
	return c.krkns, c.err
}

func (c *counter) total() int { return int(c.ours.Load()) }

// begin shows the counter until its result is called. what is a participle that says what is done
// to a file.
func (c *counter) begin(what string) (end func()) {
	c.one, c.end = c.setup.progress.Count(c.setup.log, c.total, what)
	return c.end
}

// finished is called for each file.
func (c *counter) finished(x runner.Result) {
	c.count()
	if c.one != nil {
		c.one(reportedName(x.File))
	}
}
