package main

import (
	"bufio"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// A capture keeps what is logged, for a report, and passes it on. It is a pipe, as workers write to
// files only: one that is killed, or leaves a process behind, holds nobody up.
type capture struct {
	file *os.File // where to write to
	over chan struct{}

	mu          sync.Mutex
	first, last []string
	left        int // lines between the two that were dropped
}

// So many lines of the beginning and of the end are kept.
const (
	firstLines = 200
	lastLines  = 800
)

func newCapture(out io.Writer) (*capture, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &capture{file: to, over: make(chan struct{})}
	go func() {
		defer close(c.over)
		lines := bufio.NewReader(from)
		for {
			line, err := lines.ReadString('\n')
			if line != "" {
				_, _ = io.WriteString(out, line) // who reads no log has none; the report still has it
				c.add(strings.TrimRight(line, "\r\n"))
			}
			if err != nil {
				_ = from.Close() // it is at its end
				return
			}
		}
	}()
	return c, nil
}

func (c *capture) add(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.first) < firstLines {
		c.first = append(c.first, line)
		return
	}
	if c.last = append(c.last, line); len(c.last) > 2*lastLines {
		c.left += lastLines
		c.last = append([]string(nil), c.last[lastLines:]...)
	}
}

// end waits for what was written, a second at most: a process that was left behind may keep the pipe
// open. It returns the lines, and how many are left out in the middle.
func (c *capture) end() (lines []string, left int) {
	_ = c.file.Close() // nobody writes any more
	select {
	case <-c.over:
	case <-time.After(time.Second):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last
	if over := len(last) - lastLines; over > 0 {
		last, left = last[over:], over
	}
	return append(append([]string(nil), c.first...), last...), left + c.left
}
