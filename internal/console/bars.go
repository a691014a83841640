package console

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Bars are drawn here, and by no library: those that were tried leave the cursor below the bars and
// erase them by moving it up. A terminal that was made narrower has wrapped them by then, and a part of
// them stays. Here the cursor waits where the first bar begins. A terminal that is resized moves it with
// that text, so that erasing from there to the end of the screen takes all of them, however many lines
// they have become.

const (
	refresh  = 100 * time.Millisecond
	barWidth = 24

	// eraseBelow goes to where the first bar begins, and erases it and all that is below. It does not
	// begin in the first column: tmux takes that in the first row for a screen that is cleared, and keeps
	// what was on it.
	eraseBelow = "\r\x1b[K\x1b[C\x1b[J\r"

	// A terminal that becomes narrower while a bar is written must not wrap it: the cursor would not
	// find its first line.
	noWrap, wrapAgain = "\x1b[?7l", "\x1b[?7h"
)

// A bar is what it is at when it is drawn.
type bar struct {
	done func() float64 // of 1
	text func() string
}

// start shows a bar, and returns nil off a terminal.
func (p *Progress) start(b *bar) *bar {
	if !p.bar {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars = append(p.bars, b); len(p.bars) == 1 {
		p.over = make(chan struct{})
		go p.refresh(p.over)
	}
	return b
}

// end takes a bar away, and with the last one gives the terminal back to plain lines.
func (p *Progress) end(b *bar) {
	if b == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bars = slices.DeleteFunc(p.bars, func(other *bar) bool { return other == b })
	if len(p.bars) == 0 {
		close(p.over)
	}
	_ = p.draw(nil) // a terminal that is gone shows nothing
}

func (p *Progress) refresh(over <-chan struct{}) {
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		if len(p.bars) > 0 {
			_ = p.draw(nil) // a terminal that is gone shows nothing
		}
		p.mu.Unlock()
	}
}

// draw writes lines in the place of the bars, and the bars below them, in one write.
func (p *Progress) draw(lines []byte) error {
	width, height := size(p.out)
	var b bytes.Buffer
	bars := p.bars
	if inBackground(p.out) {
		// The line where bars would be is the shell's, and somebody may be typing in it.
		if bars = nil; len(lines) == 0 {
			return nil
		}
	} else {
		b.WriteString(eraseBelow)
	}
	b.Write(lines)
	// More bars than lines would scroll: the cursor could not go back to the first.
	shown := bars[:min(len(bars), max(1, height-1))]
	if len(shown) > 0 {
		b.WriteString(noWrap)
	}
	for i, one := range shown {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(one.line(width))
	}
	if above := len(shown) - 1; above > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", above)
	}
	if len(shown) > 0 {
		b.WriteString("\r" + wrapAgain)
	}
	_, err := p.out.Write(b.Bytes())
	return err
}

// line is one line of a terminal: what is too long is cut, from its end.
func (b *bar) line(width int) string {
	done := int(b.done() * barWidth)
	line := "[" + strings.Repeat("=", done)
	if done < barWidth {
		line += ">" + strings.Repeat("-", barWidth-done-1)
	}
	line += "] " + Clean(b.text())
	if width < 2*barWidth { // the text says more
		line = Clean(b.text())
	}
	room := width - 1 // a full line would wrap at some terminals
	for i, r := range line {
		// Some of these take two columns. Which ones is not worth a table of Unicode.
		if room--; r >= 0x1100 {
			room--
		}
		if room < 0 {
			return line[:i]
		}
	}
	return line
}

// inBackground reports whether w is a terminal that another job of a shell has.
func inBackground(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	owner, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err == nil && owner > 0 && owner != unix.Getpgrp() // 0 is a group of another PID namespace
}

// size is that of the terminal that w is, for bars. One that does not know its own has 80 columns.
func size(w io.Writer) (width, height int) {
	if f, ok := w.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return 80, 24
}
