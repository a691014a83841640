package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// NewLogger returns a logger that writes to w, in one write a record. Format is "text" or "json";
// level "debug", "info", "warning" or "error"; color colours the level, and only in text.
// Attributes are in JSON only.
func NewLogger(w io.Writer, format, level string, color bool) (*slog.Logger, error) {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	least, ok := levels[strings.ToLower(level)]
	if !ok {
		return nil, fmt.Errorf("log level: got %q, want \"debug\", \"info\", \"warning\" or \"error\"", level)
	}
	switch format {
	case "text":
		return slog.New(&handler{out: &output{w: w}, least: least, color: color}), nil
	case "json":
		return slog.New(slog.NewJSONHandler(JSON(w), &slog.HandlerOptions{Level: least})), nil
	}
	return nil, fmt.Errorf("log format: got %q, want \"text\" or \"json\"", format)
}

// Color reports whether w is a terminal with colours, and NO_COLOR isn't set.
func Color(w io.Writer) bool { return os.Getenv("NO_COLOR") == "" && IsTerminal(w) }

// IsTerminal reports whether w is a terminal that can do more than print.
func IsTerminal(w io.Writer) bool {
	if p, ok := w.(*Progress); ok {
		w = p.out
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// handler prints records in the form of Krkn. No slog handler that was tried can do that and escape
// text. It leaves attributes out: they are for programs, which read JSON.
type handler struct {
	out   *output
	least slog.Level
	color bool
}

// output is where records go.
type output struct {
	w io.Writer

	mu        sync.Mutex
	gathering int    // calls of Gather that have not ended
	gathered  []byte // lines that are not written yet
}

// mostAtOnce is how much can be written to a pipe in one piece while others write to it, too.
const mostAtOnce = 4 << 10

func (o *output) write(line string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gathering == 0 {
		_, err := io.WriteString(o.w, line)
		return err
	}
	var err error
	if len(o.gathered)+len(line) > mostAtOnce {
		err = o.flush()
	}
	o.gathered = append(o.gathered, line...)
	return err
}

// flush writes what was gathered. mu is held.
func (o *output) flush() error {
	if len(o.gathered) == 0 {
		return nil
	}
	_, err := o.w.Write(o.gathered)
	o.gathered = o.gathered[:0]
	return err
}

// Gather calls do, and writes the records that come meanwhile in few pieces. If the process dies
// before Gather returns, they are lost. So use it only for records that have waited already.
func (h *handler) Gather(do func()) {
	o := h.out
	o.mu.Lock()
	o.gathering++
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.gathering--; o.gathering == 0 {
			_ = o.flush() // as slog does with what Handle returns
		}
	}()
	do()
}

// Enabled is part of slog.Handler.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }

// WithAttrs is part of slog.Handler.
func (h *handler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup is part of slog.Handler.
func (h *handler) WithGroup(string) slog.Handler { return h }

// Handle is part of slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(r.Message, "\r\n", "\n"), "\n"), "\n")
	var b strings.Builder
	if !r.Time.IsZero() {
		b.WriteString(r.Time.Local().Format("2006-01-02 15:04:05,000 "))
	}
	b.WriteString("[" + h.level(r.Level) + "] " + Clean(lines[0]) + "\n")
	// Indented, so that a message from outside can't pass for a record of its own.
	for _, line := range lines[1:] {
		b.WriteString("  " + Clean(line) + "\n")
	}
	return h.out.write(b.String())
}

func (h *handler) level(l slog.Level) string {
	name, color := "DEBUG", "2"
	switch {
	case l >= slog.LevelError:
		name, color = "ERROR", "31"
	case l >= slog.LevelWarn:
		name, color = "WARNING", "33"
	case l >= slog.LevelInfo:
		name, color = "INFO", "32"
	}
	if !h.color {
		return name
	}
	return "\x1b[" + color + "m" + name + "\x1b[0m"
}
