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

// The bars are not drawn by a library. The libraries that were tried leave the cursor below the
// bars, and move it up to erase them. If the terminal was made narrower, it has wrapped the bars,
// and a part of them stays. Here the cursor stays at the beginning of the first bar. A terminal
// that is resized moves the cursor with that text, so erasing from there to the end of the screen
// erases all bars.

const (
	refresh  = 100 * time.Millisecond
	barWidth = 24

	// eraseBelow erases the first bar and everything below. It does not begin in the first column:
	// in the first row, tmux would take that for clearing the screen, and would keep the old text
	// in its history.
	eraseBelow = "\r\x1b[K\x1b[C\x1b[J\r"

	// A terminal that becomes narrower while a bar is written must not wrap it: the cursor would
	// not find its first line.
	noWrap, wrapAgain = "\x1b[?7l", "\x1b[?7h"
)

// A bar is drawn from the values that its functions return at that moment.
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

// end removes a bar. After the last one, lines are printed as without bars.
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
		// The shell uses the last line, and somebody may be typing there.
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

// line is one line of a terminal. If it is too long, its end is cut off.
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
		// Some of these take two columns. A table of Unicode is not worth it.
		if room--; r >= 0x1100 {
			room--
		}
		if room < 0 {
			return line[:i]
		}
	}
	return line
}

// inBackground reports whether w is a terminal that another job of a shell uses.
func inBackground(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	owner, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err == nil && owner > 0 && owner != unix.Getpgrp() // 0 is a group of another PID namespace
}

// size returns the size of the terminal w. If it is not known, it is 80 columns.
func size(w io.Writer) (width, height int) {
	if f, ok := w.(*os.File); ok {
		if width, height, err := term.GetSize(int(f.Fd())); err == nil && width > 0 && height > 0 {
			return width, height
		}
	}
	return 80, 24
}
