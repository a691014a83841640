package event

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ebb-chaos/ebb/internal/kube"
)

const (
	// mostQueued bounds the Events that wait: a run can change thousands of pods.
	mostQueued = 512
	// mostTold bounds what is remembered of the Events of a run without end.
	mostTold = 10000
	writers  = 4
	// outage is how long Events wait for an API server that is away. Its requests are not what
	// anybody waits for.
	outage = 2 * time.Second
)

// Writer writes Events in the background. A nil Writer writes none.
type Writer struct {
	open func() (*kube.Client, error)
	log  *slog.Logger

	mu      sync.Mutex
	client  *kube.Client
	queue   []Event
	working int
	idle    chan struct{} // closed when all is written; nil if nobody waits for that
	told    map[string]bool
	lost    int
	why     error // of the first lost Event
}

// New returns a writer. open is called for the first Event. The writer has a client of its own, so
// that an outage does not use up the patience of other clients.
func New(open func() (*kube.Client, error), log *slog.Logger) *Writer {
	return &Writer{open: open, log: log, told: map[string]bool{}}
}

// Tell writes an Event in the background.
func (w *Writer) Tell(e Event) {
	if w == nil {
		return
	}
	e.At = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.told) >= mostTold {
		clear(w.told)
	}
	name := e.name()
	if w.told[name] {
		return
	}
	w.told[name] = true
	if len(w.queue) >= mostQueued {
		w.lose(fmt.Errorf("more than %d were waiting", mostQueued))
		return
	}
	w.queue = append(w.queue, e)
	if w.working < writers {
		w.working++
		go w.work()
	}
}

func (w *Writer) lose(err error) {
	if w.lost++; w.why == nil {
		w.why = err
	}
}

// work writes Events until none is left.
func (w *Writer) work() {
	for {
		w.mu.Lock()
		if len(w.queue) == 0 {
			if w.working--; w.working == 0 && w.idle != nil {
				close(w.idle)
				w.idle = nil
			}
			w.mu.Unlock()
			return
		}
		e := w.queue[0]
		w.queue = w.queue[1:]
		w.mu.Unlock()
		client, err := w.opened()
		if err == nil {
			err = Write(context.Background(), client, e)
		}
		if err != nil {
			w.mu.Lock()
			w.lose(err)
			w.mu.Unlock()
		}
	}
}

// opened returns the client of the writer.
func (w *Writer) opened() (*kube.Client, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.client != nil {
		return w.client, nil
	}
	theirs, err := w.open()
	if err != nil {
		return nil, err
	}
	w.client, err = kube.New(theirs.RESTConfig(), kube.Options{Patience: outage, TotalPatience: outage, MutationTimeout: outage})
	return w.client, err
}

// Flush waits until all Events are written, at most for the limit, and logs how many were lost.
func (w *Writer) Flush(limit time.Duration) {
	if w == nil {
		return
	}
	w.mu.Lock()
	var idle chan struct{}
	if w.working > 0 {
		if w.idle == nil {
			w.idle = make(chan struct{})
		}
		idle = w.idle
	}
	w.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-time.After(limit):
		}
	}
	w.mu.Lock()
	late, lost, why := len(w.queue)+w.working, w.lost, w.why
	w.lost, w.why, w.queue = 0, nil, nil
	w.mu.Unlock()
	switch {
	case lost > 0:
		w.log.Warn(fmt.Sprintf("%d Kubernetes Event(s) were not written, which changes nothing else: %v", lost+late, why))
	case late > 0:
		w.log.Warn(fmt.Sprintf("%d Kubernetes Event(s) were not written within %s, which changes nothing else", late, limit))
	}
}
