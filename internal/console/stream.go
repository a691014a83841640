package console

import (
	"bufio"
	"io"
	"time"
)

const (
	streamBuffer = 32 << 10
	streamPause  = 100 * time.Millisecond
)

// Stream gathers lines, so that a long list takes few writes. The first line is written at once,
// and lines that come slowly are written as they come.
type Stream struct {
	b    *bufio.Writer
	last time.Time // of the last flush
}

// NewStream returns a stream to w. End it with Flush.
func NewStream(w io.Writer) *Stream {
	return &Stream{b: bufio.NewWriterSize(w, streamBuffer)}
}

// Write implements io.Writer.
func (s *Stream) Write(p []byte) (int, error) {
	n, err := s.b.Write(p)
	if now := time.Now(); err == nil && now.Sub(s.last) > streamPause {
		s.last = now
		err = s.b.Flush()
	}
	return n, err
}

// Flush writes what is left.
func (s *Stream) Flush() error { return s.b.Flush() }
