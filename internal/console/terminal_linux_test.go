package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ebb-chaos/ebb/internal/console"
)

// terminal opens a pseudo-terminal of 60 columns: what is written to tty can be waited for.
func terminal(t *testing.T) (tty *os.File, s *screen) {
	t.Helper()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: 60}); err != nil {
		t.Fatal(err)
	}
	s = &screen{more: sync.NewCond(new(sync.Mutex)), lines: []string{""}, width: func() int {
		size, err := unix.IoctlGetWinsize(int(ptmx.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			return 60 // the terminal is closed
		}
		return int(size.Col)
	}}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(s, ptmx)
		done <- err
	}()
	t.Cleanup(func() {
		if err := tty.Close(); err != nil {
			t.Error(err)
		}
		// A pseudo-terminal ends in EIO, not EOF.
		if err := <-done; err != nil && !errors.Is(err, unix.EIO) {
			t.Error(err)
		}
		if err := ptmx.Close(); err != nil {
			t.Error(err)
		}
	})
	return tty, s
}

// screen is what a terminal shows: enough of one for the sequences used here. As terminals do that wrap
// anew when they are resized, it keeps whole lines, and knows rows only where the cursor moves by them.
type screen struct {
	more  *sync.Cond
	width func() int

	all     string // that was sent
	rest    string // the begin of a sequence
	lines   []string
	at, col int
	noWrap  bool
}

var sequence = regexp.MustCompile(`^\x1b\[(\??)(\d*)([A-Za-z])`)

func (s *screen) Write(b []byte) (int, error) {
	s.more.L.Lock()
	defer s.more.L.Unlock()
	s.all += string(b)
	s.rest += string(b)
	for s.rest != "" && s.step() {
	}
	s.more.Broadcast()
	return len(b), nil
}

// step takes in what comes next, and reports whether it was whole.
func (s *screen) step() bool {
	width := s.width()
	c := s.rest[0]
	n := 1
	switch {
	case c == '\x1b':
		found := sequence.FindStringSubmatch(s.rest)
		if found == nil {
			return false
		}
		n = len(found[0])
		s.command(found[1], found[2], found[3], width)
	case c == '\n':
		if s.at++; s.at == len(s.lines) {
			s.lines = append(s.lines, "")
		}
		s.col = s.col % width // the column stays
	case c == '\r':
		s.col -= s.col % width // to the begin of the row
	default:
		if s.noWrap && s.col == width {
			s.col--
		}
		line := s.lines[s.at]
		line += strings.Repeat(" ", max(0, s.col-len(line)))
		s.lines[s.at] = line[:s.col] + string(c) + line[min(len(line), s.col+1):]
		s.col++
	}
	s.rest = s.rest[n:]
	return true
}

func (s *screen) command(private, number, name string, width int) {
	switch private + name {
	case "A":
		count, err := strconv.Atoi(number)
		if err != nil {
			panic(err)
		}
		for ; count > 0; count-- {
			switch {
			case s.col >= width: // a row of the same line
				s.col -= width
			case s.at > 0:
				s.at--
				s.col += max(0, len(s.lines[s.at])-1) / width * width
			}
		}
	case "C":
		s.col++
	case "K": // the rest of the row
		line := s.lines[s.at]
		if end := (s.col/width + 1) * width; end < len(line) {
			s.lines[s.at] = line[:s.col] + strings.Repeat(" ", end-s.col) + line[end:]
		} else {
			s.lines[s.at] = line[:min(s.col, len(line))]
		}
	case "J":
		if s.at == 0 && s.col == 0 {
			panic("tmux keeps what is cleared from here")
		}
		s.lines = s.lines[:s.at+1]
		s.lines[s.at] = s.lines[s.at][:min(s.col, len(s.lines[s.at]))]
	case "?l", "?h":
		s.noWrap = name == "l"
	default:
		panic("unknown sequence " + name)
	}
}

// shown are the lines that are not empty, without the time of the log's.
func (s *screen) shown() []string {
	s.more.L.Lock()
	defer s.more.L.Unlock()
	var shown []string
	for _, line := range s.lines {
		if line = strings.TrimRight(clock.ReplaceAllString(line, ""), " "); line != "" {
			shown = append(shown, line)
		}
	}
	return shown
}

// until waits for output that matches, and returns everything so far. Its patience only bounds how
// long a failure takes.
func (s *screen) until(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	late := false
	timer := time.AfterFunc(time.Minute, func() {
		s.more.L.Lock()
		defer s.more.L.Unlock()
		late = true
		s.more.Broadcast()
	})
	defer timer.Stop()
	s.more.L.Lock()
	defer s.more.L.Unlock()
	for !re.MatchString(s.all) {
		if late {
			t.Fatalf("no %s in:\n%s", pattern, strings.Join(s.lines, "\n"))
		}
		s.more.Wait()
	}
	return s.all
}

func TestBar(t *testing.T) {
	tty, s := terminal(t)
	if !console.Color(tty) {
		t.Error("a terminal has colours")
	}
	p := console.NewProgress(tty)
	if !console.Color(p) {
		t.Error("progress on a terminal has its colours")
	}
	l, err := console.NewLogger(p, "text", "info", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- p.Wait(ctx, l, time.Hour, "network policy is in place") }()
	go func() {
		ended <- p.Wait(ctx, l, time.Hour, "another \x1b[2J of a name far too long for the width of this terminal")
	}()
	s.until(t, `\[[->=]*\] +[0-9.]+m?s / 1h  network policy`)
	s.until(t, `\[[->=]*\] +[0-9.]+m?s / 1h  another`)
	for i := range 30 {
		l.Info(fmt.Sprintf("line %02d", i))
	}
	cancel()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	l.Info("the end")
	all := s.until(t, "the end\r\n")
	if strings.Contains(all, "\x1b[2J") {
		t.Error("a name reached the terminal as a command")
	}
	for _, bar := range regexp.MustCompile(`\[[=>-]{24}\][^\r\n\x1b]*`).FindAllString(all, -1) {
		if len(bar) >= 60 {
			t.Errorf("a bar as wide as the terminal, %d: %q", len(bar), bar)
		}
	}
	// What stays is the log, whole and in order, and no bar.
	got := s.shown()
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprintf("[INFO] line %02d", i))
	}
	want = append(want, "[INFO] the end")
	if len(got) != len(want)+2 || strings.Join(got[2:], "\n") != strings.Join(want, "\n") {
		t.Errorf("the terminal shows:\n%s", strings.Join(got, "\n"))
	}
}

// A bar that fills ends like one that is taken away.
func TestBarCompletes(t *testing.T) {
	tty, s := terminal(t)
	p := console.NewProgress(tty)
	l, err := console.NewLogger(p, "text", "info", false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := p.Wait(t.Context(), l, 250*time.Millisecond, fmt.Sprintf("round %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	l.Info("the end")
	s.until(t, "the end\r\n")
	if got := strings.Join(s.shown(), "\n"); strings.Contains(got, "/") || strings.Count(got, "waiting 250ms") != 3 {
		t.Errorf("the terminal shows:\n%s", got)
	}
}

// A terminal that is resized wraps the bars anew. Nothing of them stays, and no line of the log goes.
func TestBarResized(t *testing.T) {
	tty, s := terminal(t)
	p := console.NewProgress(tty)
	l, err := console.NewLogger(p, "text", "info", false)
	if err != nil {
		t.Fatal(err)
	}
	l.Info("the begin")
	const all = 100
	one, end := p.Count(l, func() int { return all }, "version files replayed, and a text that fills the line")
	_, second := p.Count(l, func() int { return all }, "another bar below it, which fills its line as well")
	for i, width := range []uint16{30, 60, 11, 47, 200, 60} {
		one(fmt.Sprintf("file-%d", i))
		s.until(t, fmt.Sprintf("%d of %d", i+1, all))
		if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 20, Col: width}); err != nil {
			t.Fatal(err)
		}
		l.Info(fmt.Sprintf("width %d", width))
	}
	second()
	end()
	l.Info("the end")
	s.until(t, "the end\r\n")
	want := []string{"[INFO] the begin"}
	for _, width := range []int{30, 60, 11, 47, 200, 60} {
		want = append(want, fmt.Sprintf("[INFO] width %d", width))
	}
	want = append(want, "[INFO] the end")
	if got := s.shown(); !slices.Equal(got, want) {
		t.Errorf("the terminal shows:\n%s", strings.Join(got, "\n"))
	}
}

func TestNoColor(t *testing.T) {
	tty, _ := terminal(t)
	t.Setenv("NO_COLOR", "1")
	if console.Color(tty) {
		t.Error("NO_COLOR is set")
	}
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	if console.Color(tty) {
		t.Error("the terminal is dumb")
	}
}
