package console

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// step is the shortest time between two lines about the same thing, without a terminal.
const step = 10 * time.Second

// Progress shows what is being waited for: bars below the log lines on a terminal, log lines
// elsewhere. It is an [io.Writer] for the logger.
type Progress struct {
	out io.Writer
	bar bool

	mu     sync.Mutex
	bars   []*bar
	over   chan struct{} // closed when the last bar was taken away
	shared bool          // with a process that has bars, too
}

// NewProgress shows progress on w.
func NewProgress(w io.Writer) *Progress {
	return &Progress{out: w, bar: IsTerminal(w)}
}

// Write writes log lines, above the bars if there are any.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.bar || len(p.bars) == 0 && !p.shared {
		return p.out.Write(b)
	}
	if err := p.draw(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Share is for a terminal on which another process draws bars. The lines of this process overwrite
// those bars, and the other process draws them again below.
func (p *Progress) Share() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shared = true
}

// Clear erases the bars that a killed process has left.
func (p *Progress) Clear() error {
	_, err := p.Write(nil)
	return err
}

// Lines returns a writer for the log of another process, whose lines become lines of this log. A
// line is written when it is complete.
func (p *Progress) Lines() io.Writer { return &lines{to: p} }

type lines struct {
	to io.Writer

	mu   sync.Mutex
	rest []byte // the begin of a line
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	whole := l.rest[:end]
	l.rest = bytes.Clone(l.rest[end:])
	if end > 0 {
		_, _ = l.to.Write(whole) // who reads no log has none, and the other process works on
	}
	return len(b), nil
}

// Wait waits for d, or until ctx is done, whose error it returns.
func (p *Progress) Wait(ctx context.Context, logger *slog.Logger, d time.Duration, what string) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	start := time.Now()
	logger.InfoContext(ctx, fmt.Sprintf("waiting %s: %s", short(d), what))
	elapsed := func() time.Duration { return min(time.Since(start), d) }
	shown := p.start(&bar{
		done: func() float64 { return float64(elapsed()) / float64(d) },
		text: func() string { return fmt.Sprintf("%s / %s  %s", short(elapsed()), short(d), what) },
	})
	defer p.end(shown)

	ticker := time.NewTicker(max(step, d/4))
	defer ticker.Stop()
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-ticker.C:
			if shown == nil && elapsed() < d {
				logger.InfoContext(ctx, fmt.Sprintf("waited %s of %s: %s", short(elapsed()), short(d), what))
			}
		}
	}
}

// Count shows how many things of a total are done. total may return 0 until the number is known.
// what is a participle that says what is done to each. Each call of one counts one more, and gets
// its name. end removes the display. A terminal shows the rate, too. Without a terminal there is a
// line every ten seconds. Both functions may be called from any goroutine, and end more than once.
func (p *Progress) Count(logger *slog.Logger, total func() int, what string) (one func(last string), end func()) {
	began := time.Now()
	var done atomic.Int64
	var latest atomic.Value
	latest.Store("")
	state := func(what string) string {
		now := done.Load()
		text := fmt.Sprint(now)
		if all := total(); all > 0 { // what was done before it was counted may be missing
			text += fmt.Sprintf(" of %d", max(int64(all), now))
		}
		text += what
		if seconds := time.Since(began).Seconds(); seconds >= 1 {
			text += fmt.Sprintf(" (%.0f/s)", float64(now)/seconds)
		}
		return text
	}
	shown := p.start(&bar{
		done: func() float64 {
			all := total()
			if all == 0 {
				return 0 // not counted yet
			}
			return min(1, float64(done.Load())/float64(all))
		},
		text: func() string {
			last, _ := latest.Load().(string)
			return strings.TrimSuffix(state(" "+what)+"  "+last, "  ")
		},
	})
	if shown != nil {
		return func(last string) {
			latest.Store(last)
			done.Add(1)
		}, sync.OnceFunc(func() { p.end(shown) })
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(step)
		defer ticker.Stop()
		for {
			select {
			case <-over:
				return
			case <-ticker.C:
				line := fmt.Sprintf("%s: %s", what, state(""))
				if last, _ := latest.Load().(string); last != "" {
					line += ", last " + last
				}
				logger.Info(line)
			}
		}
	}()
	return func(last string) {
			latest.Store(last)
			done.Add(1)
		}, sync.OnceFunc(func() {
			close(over)
			<-ended
		})
}

// short is a duration without what doesn't matter to a person.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		s := d.Round(time.Second).String()
		if strings.HasSuffix(s, "m0s") {
			s = strings.TrimSuffix(s, "0s")
		}
		if strings.HasSuffix(s, "h0m") {
			s = strings.TrimSuffix(s, "0m")
		}
		return s
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
