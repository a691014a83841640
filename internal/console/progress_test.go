package console_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/internal/console"
)

var clock = regexp.MustCompile(`(?m)^[-0-9]+ [0-9:,]+ `)

// plain runs f off a terminal, in fake time, and returns the lines it logged and how long it took.
func plain(t *testing.T, f func(t *testing.T, p *console.Progress, b *bytes.Buffer)) (lines []string, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		start := time.Now()
		f(t, console.NewProgress(&b), &b)
		took = time.Since(start)
		lines = strings.Split(strings.TrimSuffix(clock.ReplaceAllString(b.String(), ""), "\n"), "\n")
	})
	return lines, took
}

func TestWait(t *testing.T) {
	for _, test := range []struct {
		d    time.Duration
		want []string
	}{
		{0, []string{""}},
		{-time.Second, []string{""}},
		{1500 * time.Millisecond, []string{"[INFO] waiting 1.5s: it is in place"}},
		// Every ten seconds, when a quarter is less; nothing at the very end.
		{30 * time.Second, []string{"[INFO] waiting 30s: it is in place", "[INFO] waited 10s of 30s: it is in place", "[INFO] waited 20s of 30s: it is in place"}},
		// Every quarter, when that is more.
		{10 * time.Minute, []string{"[INFO] waiting 10m: it is in place", "[INFO] waited 2m30s of 10m: it is in place",
			"[INFO] waited 5m of 10m: it is in place", "[INFO] waited 7m30s of 10m: it is in place"}},
	} {
		lines, took := plain(t, func(t *testing.T, p *console.Progress, b *bytes.Buffer) {
			l, err := console.NewLogger(p, "text", "info", true)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Wait(t.Context(), l, test.d, "it is in place"); err != nil {
				t.Error(err)
			}
		})
		if d := cmp.Diff(strings.ReplaceAll(strings.Join(test.want, "\n"), "[INFO]", "[\x1b[32mINFO\x1b[0m]"), strings.Join(lines, "\n")); d != "" {
			t.Errorf("%s: %s", test.d, d)
		}
		if took != max(0, test.d) {
			t.Errorf("%s: took %s", test.d, took)
		}
	}
}

func TestWaitEndsEarly(t *testing.T) {
	cause := errors.New("signal")
	_, took := plain(t, func(t *testing.T, p *console.Progress, b *bytes.Buffer) {
		l, err := console.NewLogger(p, "text", "info", false)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { cancel(cause) })
		if err := p.Wait(ctx, l, time.Hour, "long"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		b.Reset()
		// Done before it begins: neither a wait nor a line.
		if err := p.Wait(ctx, l, time.Hour, "long"); !errors.Is(err, context.Canceled) || b.Len() > 0 {
			t.Errorf("got %v and %q", err, b.String())
		}
	})
	if took != 3*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestCount(t *testing.T) {
	lines, _ := plain(t, func(t *testing.T, p *console.Progress, b *bytes.Buffer) {
		l, err := console.NewLogger(p, "text", "info", false)
		if err != nil {
			t.Fatal(err)
		}
		var total atomic.Int64 // the counter reads it in a goroutine of its own
		one, end := p.Count(l, func() int { return int(total.Load()) }, "looked at files")
		one("a")
		time.Sleep(11 * time.Second)
		one("b\x1b")
		total.Store(3)
		time.Sleep(11 * time.Second)
		one("c")
		end()
		end()
		time.Sleep(time.Minute)
	})
	if d := cmp.Diff([]string{"[INFO] looked at files: 1 (0/s), last a", `[INFO] looked at files: 2 of 3 (0/s), last b\x1b`}, lines); d != "" {
		t.Error(d)
	}
	if lines, _ := plain(t, func(t *testing.T, p *console.Progress, b *bytes.Buffer) {
		one, end := p.Count(slog.New(slog.DiscardHandler), func() int { return 1 }, "soon done")
		one("a")
		end()
	}); len(lines) != 1 || lines[0] != "" {
		t.Errorf("got %q, want nothing", lines)
	}
}
