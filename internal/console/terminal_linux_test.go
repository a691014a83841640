package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
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
	s = &screen{more: sync.NewCond(new(sync.Mutex))}
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

// screen gathers what a terminal is sent.
type screen struct {
	more *sync.Cond
	all  string
}

func (s *screen) Write(b []byte) (int, error) {
	s.more.L.Lock()
	defer s.more.L.Unlock()
	s.all += string(b)
	s.more.Broadcast()
	return len(b), nil
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
			t.Fatalf("no %s in:\n%s", pattern, strings.Join(draw(s.all), "\n"))
		}
		s.more.Wait()
	}
	return s.all
}

// draw returns the lines that a terminal shows after it was sent all: enough of one for the cursor
// movements used here.
func draw(all string) []string {
	lines := []string{""}
	at := 0
	up := regexp.MustCompile(`^\x1b\[(\d+)A`)
	for all != "" {
		var n int
		switch {
		case up.MatchString(all):
			if _, err := fmt.Sscanf(all, "\x1b[%dA", &n); err != nil {
				panic(err)
			}
			at = max(0, at-n)
			all = all[len(up.FindString(all)):]
		case strings.HasPrefix(all, "\x1b[J"):
			lines = lines[:at+1]
			lines[at] = ""
			all = all[3:]
		case all[0] == '\n':
			if at++; at == len(lines) {
				lines = append(lines, "")
			}
			all = all[1:]
		case all[0] == '\r':
			all = all[1:]
		default:
			lines[at] += all[:1]
			all = all[1:]
		}
	}
	return lines
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
	for _, l := range strings.Split(all, "\r\n") {
		if bar := regexp.MustCompile(`\x1b\[\d*[AJ]`).ReplaceAllString(l, ""); strings.Contains(bar, "/ 1h") && !strings.Contains(bar, "[INFO]") && len(bar) > 60 {
			t.Errorf("a bar wider than the terminal, %d: %q", len(bar), bar)
		}
	}
	// What stays is the log, whole and in order, and no bar.
	var got []string
	for _, line := range draw(all) {
		if line = clock.ReplaceAllString(line, ""); line != "" {
			got = append(got, line)
		}
	}
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
	if got := strings.Join(draw(s.until(t, "the end\r\n")), "\n"); strings.Contains(got, "/") || strings.Count(got, "waiting 250ms") != 3 {
		t.Errorf("the terminal shows:\n%s", got)
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
