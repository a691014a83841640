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

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	step    = 10 * time.Second       // off a terminal, no two lines about the same thing are closer
	refresh = 100 * time.Millisecond // of the bars on a terminal; log lines wait as long for the next one

	barWidth = 24
)

// Progress shows what is being waited for: bars below the log lines on a terminal, log lines
// elsewhere. It is an [io.Writer] for the logger.
type Progress struct {
	out io.Writer
	bar bool

	mu   sync.Mutex
	all  *mpb.Progress // nil while no bar is shown, when lines go straight to out
	bars int
}

// NewProgress shows progress on w.
func NewProgress(w io.Writer) *Progress {
	return &Progress{out: w, bar: IsTerminal(w)}
}

// Write writes log lines, above the bars if there are any.
func (p *Progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all != nil {
		// An error means that the bars can no longer be drawn. The lines still count.
		if n, err := p.all.Write(b); err == nil {
			return n, nil
		}
	}
	return p.out.Write(b)
}

// Lines returns a writer for the log of another process: what it writes becomes lines of this one's.
// A line is written when its end is.
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

// Interrupted is for after a signal: a terminal echoes Ctrl-C where the bars are drawn, and they
// can only clear their own line from its start.
func (p *Progress) Interrupted() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		return nil
	}
	_, err := io.WriteString(p.out, "\r")
	return err
}

// Wait waits for d, or until ctx is done, whose error it returns.
func (p *Progress) Wait(ctx context.Context, logger *slog.Logger, d time.Duration, what string) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	start := time.Now()
	logger.InfoContext(ctx, fmt.Sprintf("waiting %s: %s", short(d), what))
	bar := p.start(int64(d), what, func(s decor.Statistics) string {
		return fmt.Sprintf("%s / %s", short(time.Duration(s.Current)), short(d))
	})
	defer p.end(bar)

	every := max(step, d/4)
	if bar != nil {
		every = refresh
	}
	ticker := time.NewTicker(every)
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
			elapsed := time.Since(start)
			if bar != nil {
				bar.SetCurrent(int64(min(elapsed, d)))
			} else if elapsed < d {
				logger.InfoContext(ctx, fmt.Sprintf("waited %s of %s: %s", short(elapsed), short(d), what))
			}
		}
	}
}

// Count shows how many of total things are done, which may be 0 until it is known: each call of one is one
// more, which it names, and end takes the display away. A terminal shows the rate, too. Off a terminal there is a line every ten
// seconds. Both may be called from any goroutine, end more than once.
func (p *Progress) Count(logger *slog.Logger, total func() int, what string) (one func(last string), end func()) {
	began := time.Now()
	var done atomic.Int64
	var latest atomic.Value
	latest.Store("")
	state := func() string {
		text := fmt.Sprint(done.Load())
		if all := total(); all > 0 {
			text += fmt.Sprintf(" of %d", all)
		}
		if seconds := time.Since(began).Seconds(); seconds >= 1 {
			text += fmt.Sprintf(" (%.0f/s)", float64(done.Load())/seconds)
		}
		return text
	}
	bar := p.start(int64(total()), what, func(decor.Statistics) string {
		text := state()
		if last, _ := latest.Load().(string); last != "" {
			text += " " + Clean(last)
		}
		return text
	})
	if bar != nil {
		return func(last string) {
			latest.Store(last)
			bar.SetCurrent(min(done.Add(1), int64(total())))
		}, sync.OnceFunc(func() { p.end(bar) })
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
				line := fmt.Sprintf("%s: %s", what, state())
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

// start shows a bar, nil off a terminal.
func (p *Progress) start(total int64, what string, count func(decor.Statistics) string) *mpb.Bar {
	if !p.bar || total <= 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = mpb.New(mpb.WithOutput(p.out), mpb.WithRefreshRate(refresh))
	}
	// The text comes last and is cut, because on a narrow terminal mpb would leave out the bar
	// instead.
	bar, err := p.all.Add(total, mpb.BarStyle().Build(),
		mpb.BarRemoveOnComplete(),
		mpb.BarWidth(barWidth),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string {
			text := []rune(" " + count(s) + "  " + Clean(what))
			return string(text[:max(0, min(len(text), s.AvailableWidth-barWidth-2))])
		})),
	)
	if err != nil {
		return nil
	}
	p.bars++
	return bar
}

// end takes a bar away, and with the last one gives the terminal back to plain lines.
func (p *Progress) end(bar *mpb.Bar) {
	if bar == nil {
		return
	}
	bar.Abort(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars--; p.bars == 0 {
		p.all.Wait() // draws the last lines written
		p.all = nil
	}
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
