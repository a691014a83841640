package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A capture is a copy of the log, for a report. It is a file to which this process and its workers
// append each line in one write. They still write to the terminal themselves. So the terminal keeps
// its colors and bars, and no process waits for another one to read.
//
// The first line of the file is the number of log lines that none of the processes could append. It
// has a fixed width, so that it can be changed even if the disk is full.
type capture struct{ path string }

// lostFormat is the format of the first line: the number of lost lines.
const lostFormat = "%020d\n"

const lostWidth = 21

// How many lines are kept of the beginning and of the end.
const (
	firstLines = 200
	lastLines  = 800
)

// newCapture creates the file in the directory of the report: a log can be too large for a
// temporary file system.
func newCapture(dir string) (*capture, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".log-")
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, lostFormat, 0)
	return &capture{f.Name()}, errors.Join(err, f.Close())
}

// capturedLog is what a capture contains when the command ends.
type capturedLog struct {
	lines []string
	cut   int   // lines left out in the middle, because there are too many
	lost  int64 // lines that could not be written
}

// end returns what was captured, and removes the file.
func (c *capture) end() (log capturedLog, err error) {
	f, err := os.Open(c.path)
	if err != nil {
		return log, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(c.path)) }()
	all := bufio.NewReader(f)
	if log.lost, err = readLost(all); err != nil {
		return log, err
	}
	log.lines, log.cut, err = firstAndLast(all)
	return log, err
}

// readLost reads the number in the first line.
func readLost(r io.Reader) (int64, error) {
	head := make([]byte, lostWidth)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, fmt.Errorf("number of lost log lines: %w", err)
	}
	lost, err := strconv.ParseInt(strings.TrimSuffix(string(head), "\n"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("number of lost log lines: %w", err)
	}
	return lost, nil
}

// firstAndLast reads lines. It returns the first and the last ones, and how many it left out in the
// middle.
func firstAndLast(all *bufio.Reader) (lines []string, left int, err error) {
	var last []string
	for {
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

// colors matches what the logger adds to the text on a terminal.
var colors = regexp.MustCompile("\x1b\\[[0-9]*m")

// captured writes to a log, and a copy without colors to a capture.
type captured struct {
	log  io.Writer
	path string
	file *os.File
}

func openCaptured(log io.Writer, path string) (*captured, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	return &captured{log, path, f}, err
}

// Write fails only if the log can't be written. If the copy can't be written, its lines are counted
// as lost. If even the count can't be written, the log says so at once.
func (c *captured) Write(b []byte) (int, error) {
	n, err := c.log.Write(b)
	if _, copyErr := c.file.Write(colors.ReplaceAll(b, nil)); copyErr != nil {
		if countErr := c.lose(bytes.Count(b, []byte("\n"))); countErr != nil {
			_, sayErr := fmt.Fprintf(c.log, "the log in the report is incomplete: %v\n", errors.Join(copyErr, countErr))
			err = errors.Join(err, sayErr)
		}
	}
	return n, err
}

// lose adds to the number of lost lines in the first line of the file. Several processes may do so
// at the same time.
func (c *captured) lose(lines int) (err error) {
	f, err := os.OpenFile(c.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }() // which unlocks it
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", c.path, err)
	}
	lost, err := readLost(f)
	if err == nil {
		_, err = f.WriteAt(fmt.Appendf(nil, lostFormat, lost+int64(lines)), 0)
	}
	return err
}
