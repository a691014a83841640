package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// metrics is what a watch reports about itself.
type metrics struct {
	mu       sync.Mutex
	leading  bool
	pending  int
	dead     int
	outcomes map[string]int
	last     time.Time // of the last look that succeeded
	began    time.Time
}

func newMetrics() *metrics { return &metrics{outcomes: map[string]int{}, began: time.Now()} }

func (m *metrics) leads(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leading = yes
}

func (m *metrics) looked(pending, dead int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pending, m.dead, m.last = pending, dead, time.Now()
}

func (m *metrics) replayed(outcome string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes[outcome]++
}

// stale is the greatest age of a leader's last successful look. A replay may take long.
const stale = 10 * time.Minute

// healthy reports whether the watch works: it is waiting for its turn, or it has looked recently.
func (m *metrics) healthy(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := m.last
	if last.IsZero() {
		last = m.began
	}
	return !m.leading || now.Sub(last) < stale
}

// text returns the metrics in Prometheus' exposition format.
func (m *metrics) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	leader := 0
	if m.leading {
		leader = 1
	}
	text := fmt.Sprintf(`# HELP ebb_watch_leader 1 if this watch is the one that works.
# TYPE ebb_watch_leader gauge
ebb_watch_leader %d
# HELP ebb_watch_pending_executions Executions in the store that have pending version files.
# TYPE ebb_watch_pending_executions gauge
ebb_watch_pending_executions %d
# HELP ebb_watch_dead_executions Pending executions whose runner is dead.
# TYPE ebb_watch_dead_executions gauge
ebb_watch_dead_executions %d
# HELP ebb_watch_replayed_files_total Version files that this watch has replayed, by outcome.
# TYPE ebb_watch_replayed_files_total counter
`, leader, m.pending, m.dead)
	for _, outcome := range slices.Sorted(maps.Keys(m.outcomes)) {
		text += fmt.Sprintf("ebb_watch_replayed_files_total{outcome=%q} %d\n", outcome, m.outcomes[outcome])
	}
	return text
}

// serve answers requests until stop is called.
func (m *metrics) serve(listener net.Listener, log *slog.Logger) (stop func()) {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, code int, text string) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.WriteHeader(code)
		if _, err := w.Write([]byte(text)); err != nil {
			log.Debug(fmt.Sprintf("metrics: %v", err))
		}
	}
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, m.text()) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if m.healthy(time.Now()) {
			answer(w, http.StatusOK, "ok\n")
			return
		}
		answer(w, http.StatusServiceUnavailable, "the store was not looked at for "+stale.String()+"\n")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error(fmt.Sprintf("metrics: %v", err))
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			log.Debug(fmt.Sprintf("metrics: %v", err))
		}
		<-ended
	}
}
