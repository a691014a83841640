package patience

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errAway = errors.New("away")

var away = Miss{Reason: "connection refused", Err: errAway}

// attempt is one that takes a second and brings nothing.
func attempt(ctx context.Context, w *Wait) error {
	began := time.Now()
	time.Sleep(time.Second)
	return w.Again(ctx, away, began)
}

// Calls that wait at the same time spend patience once.
func TestTimeCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Server: "server", Each: time.Minute})
		var calls sync.WaitGroup
		began := time.Now()
		for range 3 {
			calls.Go(func() {
				w := p.Begin()
				defer w.End()
				for {
					if err := attempt(t.Context(), w); err != nil {
						var gone *UnavailableError
						if !errors.As(err, &gone) || !errors.Is(err, errAway) || gone.Waited < time.Minute {
							t.Errorf("got %v", err)
						}
						return
					}
				}
			})
		}
		calls.Wait()
		// The last attempts may begin just before the end.
		if took := time.Since(began); took < time.Minute || took > time.Minute+2*time.Second {
			t.Errorf("took %s, want a minute and one attempt", took)
		}
		if waited := p.Waited(); waited < time.Minute || waited > time.Minute+2*time.Second {
			t.Errorf("waited %s, want a minute and one attempt", waited)
		}
	})
}

// What one outage used up is there again for the next.
func TestEachOutageHasItsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Server: "server", Each: time.Minute})
		for range 5 {
			w := p.Begin()
			for began := time.Now(); time.Since(began) < 50*time.Second; {
				if err := attempt(t.Context(), w); err != nil {
					t.Fatal(err)
				}
			}
			p.Answered(t.Context())
			w.End()
		}
		w := p.Begin()
		defer w.End()
		if got := w.Limit(2 * time.Minute); got != time.Minute {
			t.Errorf("got the limit %s for the next attempt, want a minute", got)
		}
	})
}

// A server that answers others is not waited for without end.
func TestOneCallIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Server: "server", Each: time.Minute})
		w := p.Begin()
		defer w.End()
		began := time.Now()
		for attempt(t.Context(), w) == nil {
			p.Answered(t.Context())
		}
		if took := time.Since(began); took < time.Minute || took > 70*time.Second {
			t.Errorf("gave up after %s, want about a minute", took)
		}
	})
}

func TestTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Server: "server", Each: time.Minute, Total: 2 * time.Minute})
		began := time.Now()
		for {
			w := p.Begin()
			err := attempt(t.Context(), w)
			p.Answered(t.Context())
			if got := w.Limit(time.Minute); err != nil && got != time.Minute {
				t.Errorf("got the limit %s for a server that answers, want a minute", got)
			}
			w.End()
			if err == nil {
				continue
			}
			var gone *UnavailableError
			if !errors.As(err, &gone) || gone.Waited < 2*time.Minute {
				t.Errorf("got %v", err)
			}
			break
		}
		if took := time.Since(began); took < 2*time.Minute || took > 125*time.Second {
			t.Errorf("gave up after %s, want about 2 minutes", took)
		}
	})
}

// Many calls must not hang for a full timeout each when there is no patience left.
func TestLimitWithoutPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Server: "server", Each: time.Second})
		w := p.Begin()
		for attempt(t.Context(), w) == nil {
		}
		w.End()
		next := p.Begin()
		defer next.End()
		if got := next.Limit(time.Minute); got != impatientLimit {
			t.Errorf("got the limit %s, want %s", got, impatientLimit)
		}
	})
}

func TestWishIsCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{Server: "server"})
		w := p.Begin()
		defer w.End()
		began := time.Now()
		if err := w.Again(t.Context(), Miss{Reason: "429", After: time.Hour, Err: errAway}, began); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != MostPause {
			t.Errorf("paused for %s, want %s", took, MostPause)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := New(Options{Server: "server"}).Begin()
	defer w.End()
	if err := w.Again(ctx, away, time.Now()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

// logged is what a server that does as told was worth in the log.
func logged(t *testing.T, do func(t *testing.T, p *Patience, w *Wait)) (lines []string) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := New(Options{Server: "server", Log: slog.New(slog.NewTextHandler(&log, nil))})
		w := p.Begin()
		do(t, p, w)
		w.End()
		lines = strings.Split(strings.TrimSpace(log.String()), "\n")
	})
	return lines
}

func count(lines []string, part string) (n int) {
	for _, line := range lines {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

func TestAnOutageIsLoggedSparingly(t *testing.T) {
	lines := logged(t, func(t *testing.T, p *Patience, w *Wait) {
		for began := time.Now(); time.Since(began) < time.Minute; {
			if err := w.Again(t.Context(), away, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		p.Answered(t.Context())
		p.Answered(t.Context())
	})
	if n := count(lines, "server does not answer (connection refused), waiting up to 5m0s"); n != 1 {
		t.Errorf("got %d lines at the start: %q", n, lines)
	}
	if n := count(lines, "still does not answer"); n < 3 || n > 6 {
		t.Errorf("got %d reminders in a minute: %q", n, lines)
	}
	if n := count(lines, "server answers again after 1m"); n != 1 {
		t.Errorf("got %d lines at the end: %q", n, lines)
	}
}

// D7: a server that came and went for five minutes was worth 25 pairs of lines.
func TestAFlappingServerIsSummarised(t *testing.T) {
	lines := logged(t, func(t *testing.T, p *Patience, _ *Wait) {
		for range 300 {
			w := p.Begin()
			if err := w.Again(t.Context(), away, time.Now()); err != nil {
				t.Fatal(err)
			}
			p.Answered(t.Context())
			w.End()
			time.Sleep(time.Second)
		}
	})
	if n := count(lines, "answers again after 100ms"); n < 1 || n > 6 {
		t.Errorf("got %d lines about its return: %q", n, lines)
	}
	if n := count(lines, "does not answer"); n < 2 || n > 6 {
		t.Errorf("got %d lines about its going: %q", n, lines)
	}
	if count(lines, "outage 10 within 10s")+count(lines, "outage 11 within 10s")+count(lines, "outage 9 within 10s") == 0 {
		t.Errorf("nothing says how often: %q", lines)
	}
}

// A long outage is told of, however often the server went before.
func TestALongOutageAfterFlappingIsTold(t *testing.T) {
	lines := logged(t, func(t *testing.T, p *Patience, _ *Wait) {
		for range 100 {
			w := p.Begin()
			if err := w.Again(t.Context(), away, time.Now()); err != nil {
				t.Fatal(err)
			}
			p.Answered(t.Context())
			w.End()
		}
		w := p.Begin()
		defer w.End()
		for began := time.Now(); time.Since(began) < 30*time.Second; {
			if err := w.Again(t.Context(), away, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n := count(lines, "still does not answer"); n == 0 {
		t.Errorf("half a minute was not mentioned: %q", lines)
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := Sleep(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}
