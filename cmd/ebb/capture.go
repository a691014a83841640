package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A capture keeps what is logged, for a report. It is a file that this process and its workers append
// to, each line in one write, besides writing to the terminal: so the terminal keeps its colours and its
// bars, and no process waits for another to read.
type capture struct{ path string }

// So many lines of the beginning and of the end are kept.
const (
	firstLines = 200
	lastLines  = 800
)

// newCapture begins one in the directory of the report: a log can be longer than a temporary file system
// is large.
func newCapture(dir string) (*capture, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".log-")
	if err != nil {
		return nil, err
	}
	return &capture{f.Name()}, f.Close()
}

// end returns the lines, and how many are left out in the middle, and removes the file.
func (c *capture) end() (lines []string, left int, err error) {
	f, err := os.Open(c.path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(c.path)) }()
	var last []string
	for all := bufio.NewReader(f); ; {
		line, err := all.ReadString('\n')
		switch {
		case line == "":
		case len(lines) < firstLines:
			lines = append(lines, strings.TrimRight(line, "\r\n"))
		default:
			last = append(last, strings.TrimRight(line, "\r\n"))
		}
		if over := len(last) - lastLines; over >= lastLines || err != nil && over > 0 {
			last, left = append([]string(nil), last[over:]...), left+over
		}
		if errors.Is(err, io.EOF) {
			return append(lines, last...), left, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// colors are the only thing in the log of a terminal that is not in the text: see the logger.
var colors = regexp.MustCompile("\x1b\\[[0-9]*m")

// captured writes to a log, and without its colours to a capture.
type captured struct {
	log  io.Writer
	file *os.File
}

func openCaptured(log io.Writer, path string) (*captured, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	return &captured{log, f}, err
}

// Write fails only if the log can't be written. What is missing in a report is seen there.
func (c *captured) Write(b []byte) (int, error) {
	_, _ = c.file.Write(colors.ReplaceAll(b, nil))
	return c.log.Write(b)
}
