package kube

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
	// logEvery is how often waiting is mentioned.
	logEvery = 10 * time.Second
	// silence is how long an attempt may go unanswered before it counts as waiting.
	silence = 5 * time.Second
	// impatientLimit is for attempts after patience was used up on a server that
	// still does not answer: each of many calls would hang for a full timeout.
	impatientLimit = 3 * time.Second
)

// patience is a client's account of the time spent waiting for its API server.
// Time is charged once, however many calls wait.
type patience struct {
	total  time.Duration
	server string
	log    *slog.Logger
	// first is the pause after a first failure; each next one is twice as long.
	first   time.Duration
	silence time.Duration

	mu      sync.Mutex
	used    time.Duration // by waits that have ended
	waiting int           // calls that wait now
	since   time.Time     // when the first of them began

	down      bool // the latest attempt of any call brought no usable answer
	downSince time.Time
	logged    time.Time
	announced bool
}

func newPatience(total time.Duration, server string, log *slog.Logger) *patience {
	return &patience{total: total, server: server, log: log, first: firstPause, silence: silence}
}

// spent returns the time used so far. The lock is held.
func (p *patience) spent(now time.Time) time.Duration {
	if p.waiting == 0 {
		return p.used
	}
	return p.used + now.Sub(p.since)
}

// limit shortens an attempt's time to the patience that is left: a silent server would
// use up more than there is. A server that answers keeps its time when none is left.
func (p *patience) limit(normal time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.total - p.spent(time.Now())
	if left <= 0 && !p.down {
		return normal
	}
	return min(normal, max(left, impatientLimit))
}

// answered notes that the server is there.
func (p *patience) answered(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.down {
		return
	}
	p.down = false
	if p.announced {
		p.announced = false
		p.log.InfoContext(ctx, fmt.Sprintf("API server %s answers again after %s",
			p.server, time.Since(p.downSince).Round(100*time.Millisecond)))
	}
}

// failed notes an attempt without a usable answer.
func (p *patience) failed(ctx context.Context, reason string, now time.Time) {
	if !p.down {
		p.down, p.downSince = true, now
	}
	// A server that flaps would otherwise be worth two lines a request.
	if !p.logged.IsZero() && now.Sub(p.logged) < logEvery {
		return
	}
	left := max(0, p.total-p.spent(now)).Round(time.Second)
	if left == 0 && p.total > time.Second {
		return // the error that follows says it
	}
	p.logged = now
	text := fmt.Sprintf("API server %s does not answer (%s), waiting up to %s", p.server, reason, left)
	if p.announced {
		text = fmt.Sprintf("API server %s still does not answer (%s), waiting up to %s more", p.server, reason, left)
	}
	p.announced = true
	p.log.WarnContext(ctx, text)
}

// wait is one call's part in the waiting. Its zero state waits for nothing.
type wait struct {
	p      *patience
	pauses int

	active, over bool // under the lock of p
}

func (p *patience) begin() *wait { return &wait{p: p} }

// again pauses before another attempt. It fails with an *UnavailableError when
// patience is used up, and with the context's error when that ends first.
func (w *wait) again(ctx context.Context, m *miss, started time.Time) error {
	left := w.note(ctx, m.reason, started)
	if left <= 0 {
		return &UnavailableError{Server: w.p.server, Waited: w.p.total - left, Err: m.err}
	}
	pause := min(w.p.first<<min(w.pauses, 10), longPause)
	w.pauses++
	// Clients that lost the same server should not come back in step.
	pause = pause/2 + rand.N(pause/2+1)
	timer := time.NewTimer(min(max(pause, m.after), left))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// attempt sends once. A server that is silent is waited for while it is: nobody has to
// guess what goes on, and a file's own time does not run meanwhile.
func (c *Client) attempt(ctx context.Context, q request, w *wait, started time.Time) answer {
	var began atomic.Bool
	timer := time.AfterFunc(c.patience.silence, func() {
		reason := "no answer for"
		if !began.Load() {
			reason = "the kubeconfig's command for credentials has not ended for"
		}
		w.note(ctx, fmt.Sprintf("%s %s", reason, c.patience.silence), started)
	})
	defer timer.Stop()
	a := c.send(ctx, q, c.patience.limit(q.limit), &began)
	if apierrors.IsUnauthorized(a.err) && c.config.ExecProvider != nil {
		// They may have expired before their time, and this has made client-go get new ones.
		a = c.send(ctx, q, c.patience.limit(q.limit), &began)
	}
	return a
}

// note charges the time since the attempt began and returns the patience that is left.
func (w *wait) note(ctx context.Context, reason string, started time.Time) time.Duration {
	p, now := w.p, time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.over { // it was answered just now
		return p.total - p.spent(now)
	}
	if !w.active {
		w.active = true
		if p.waiting == 0 {
			p.since = started
		}
		p.waiting++
	}
	p.failed(ctx, reason, now)
	return p.total - p.spent(now)
}

// end stops the clock.
func (w *wait) end() {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	w.over = true
	if !w.active {
		return
	}
	w.active = false
	p.waiting--
	if p.waiting == 0 {
		p.used += time.Since(p.since)
	}
}

// Waited returns how long the client has waited for its API server so far.
func (c *Client) Waited() time.Duration {
	c.patience.mu.Lock()
	defer c.patience.mu.Unlock()
	return c.patience.spent(time.Now())
}
