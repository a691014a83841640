package worker

import (
	"encoding/gob"
	"io"
	"sync"
	"time"
)

// Messages are encoded by gob and not as JSON, because paths and errors need not be UTF-8.

// limits are the first message of the starting process.
type limits struct {
	Silence time.Duration
	Memory  uint64
}

// envelope is a message of a worker. An empty one only says that the worker is alive.
type envelope[E any] struct {
	Event *E
	Fatal string // why the worker ends itself
}

// sender writes messages for several goroutines.
type sender struct {
	mu  sync.Mutex
	out *gob.Encoder
}

func newSender(w io.Writer) *sender { return &sender{out: gob.NewEncoder(w)} }

func (s *sender) send(message any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Encode(message)
}
