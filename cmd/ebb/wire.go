package main

import (
	"encoding/json"
	"io"
	"sync"

	"github.com/ebb-chaos/ebb/runner"
)

// What a replay's two processes say to each other, one JSON value a line. The supervisor
// begins with one order and adds another for each signal; its end of the pipe closes when it
// is gone. The worker sends events.

// order is what the supervisor wants.
type order struct {
	Tried []runner.Result     `json:"tried,omitempty"` // what other workers could not undo
	Lost  map[string]lostFile `json:"lost,omitempty"`  // files that ended one, by key
	Slow  bool                `json:"slow,omitempty"`  // one execution at a time
	Stop  string              `json:"stop,omitempty"`  // the signal that was heard
}

// lostFile is a file whose code ended a worker.
type lostFile struct {
	Location string `json:"location"`
	How      string `json:"how"`
}

func (f lostFile) err() *runner.LostError { return &runner.LostError{How: f.How} }

// event is what the worker is at. An empty one only says that it is alive. Files go by their
// keys: paths need not be UTF-8, as JSON is.
type event struct {
	Begin    string         `json:"begin,omitempty"`    // key of a file whose code is at work now
	Location string         `json:"location,omitempty"` // of that file, for messages
	Over     string         `json:"over,omitempty"`     // key of one whose code isn't any more
	Result   *runner.Result `json:"result,omitempty"`
	Fatal    string         `json:"fatal,omitempty"` // why the worker ends itself
	Done     *done          `json:"done,omitempty"`
}

// done is the last event of a worker that was not ended by what it replayed.
type done struct {
	Code        int  `json:"code"`     // of the error that it printed
	Reported    bool `json:"reported"` // there was no error: every file had its result
	Interrupted bool `json:"interrupted"`
}

// sender writes events for several goroutines.
type sender struct {
	mu  sync.Mutex
	out *json.Encoder
}

func newSender(w io.Writer) *sender { return &sender{out: json.NewEncoder(w)} }

func (s *sender) send(e event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Encode(e)
}
