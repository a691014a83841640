package runner

import (
	"context"
	"log/slog"
	"sync"
)

// turns sorts the log lines of work that runs at the same time. Lines of the first work are printed
// at once. Lines of the others wait for their turn. So the log reads as if one replay came after
// the other.
type turns struct {
	mu    sync.Mutex
	out   slog.Handler
	now   int // the present turn
	over  map[int]bool
	lines map[int][]line
	kept  int // number of lines that wait
}

// mostLines bounds the lines that wait. Further lines are printed at once: in a replay of a hundred
// thousand files, the first may take a minute.
const mostLines = 16 << 10

// line is a log record that waits, with the handler that has its attributes.
type line struct {
	handler slog.Handler
	record  slog.Record
}

func newTurns(out slog.Handler) *turns {
	return &turns{out: out, over: map[int]bool{}, lines: map[int][]line{}}
}

// take returns a logger for the work with turn i, counted from 0, and a function to call at its
// end. Each turn must be taken.
func (t *turns) take(i int) (log *slog.Logger, over func()) {
	return slog.New(&turnHandler{t, i, t.out}), func() { t.end(i) }
}

func (t *turns) end(i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over[i] = true
	for t.over[t.now] {
		delete(t.over, t.now)
		t.now++
		t.print(t.now)
	}
}

// gatherer is a handler that writes records at once which it is given one after the other.
type gatherer interface{ Gather(do func()) }

// print prints the lines of a turn that wait.
func (t *turns) print(i int) {
	lines := t.lines[i]
	if len(lines) == 0 {
		return
	}
	handle := func() {
		for _, l := range lines {
			_ = l.handler.Handle(context.Background(), l.record) // as slog itself does
		}
	}
	if g, ok := t.out.(gatherer); ok {
		g.Gather(handle)
	} else {
		handle()
	}
	t.kept -= len(lines)
	delete(t.lines, i)
}

// turnHandler is the log handler of one turn.
type turnHandler struct {
	turns   *turns
	turn    int
	handler slog.Handler
}

// Enabled implements slog.Handler.
func (h *turnHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *turnHandler) Handle(ctx context.Context, record slog.Record) error {
	t := h.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.turn == t.now || t.kept >= mostLines {
		t.print(h.turn)
		return h.handler.Handle(ctx, record)
	}
	t.lines[h.turn] = append(t.lines[h.turn], line{h.handler, record.Clone()})
	t.kept++
	return nil
}

// WithAttrs implements slog.Handler.
func (h *turnHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &turnHandler{h.turns, h.turn, h.handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *turnHandler) WithGroup(name string) slog.Handler {
	return &turnHandler{h.turns, h.turn, h.handler.WithGroup(name)}
}
