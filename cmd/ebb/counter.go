package main

import (
	"path/filepath"

	"github.com/ebb-chaos/ebb/runner"
)

// counter shows how far a replay has got.
type counter struct {
	setup *setup
	total int
	one   func(last string)
	end   func()
}

// begin shows the counter until its result is called.
func (c *counter) begin(what string) (end func()) {
	c.one, c.end = c.setup.progress.Count(c.setup.log, c.total, what)
	return c.end
}

// finished is told of each file.
func (c *counter) finished(x runner.Result) {
	if c.one != nil {
		c.one(filepath.Base(x.File.Location))
	}
}
