package patience

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	// logEvery is how often a long outage is logged. It is also the shortest time between messages
	// about two outages.
	logEvery = 10 * time.Second
	// longestHush is the longest pause between messages about a server that fails again and again.
	longestHush = 5 * time.Minute
)

// report logs outages. A flapping server would cause two messages a request. So each outage that is
// logged doubles the pause before the next message, except for an outage that lasts.
type report struct {
	server string
	log    *slog.Logger

	down  bool // the last attempt of any call got no usable answer
	since time.Time
	told  bool // this outage was logged

	last     time.Time // line
	hush     time.Duration
	untold   int // outages since the last message, including the present one
	untoldBy time.Time
}

// missed records an attempt without a usable answer.
func (r *report) missed(ctx context.Context, reason string, left time.Duration) {
	now := time.Now()
	if !r.down {
		r.down, r.since, r.told = true, now, false
		if r.untold == 0 {
			r.untoldBy = now
		}
		r.untold++
	}
	quiet := logEvery
	if !r.told && now.Sub(r.since) < logEvery {
		quiet = max(r.hush, logEvery)
	}
	if !r.last.IsZero() && now.Sub(r.last) < quiet {
		return
	}
	left = left.Round(time.Second)
	if left == 0 {
		return // the error that follows says it
	}
	text := fmt.Sprintf("%s does not answer (%s), waiting up to %s", r.server, reason, left)
	switch {
	case r.told:
		text = fmt.Sprintf("%s still does not answer (%s), waiting up to %s more", r.server, reason, left)
	case r.untold > 1:
		text = fmt.Sprintf("%s does not answer (%s), outage %d within %s, waiting up to %s",
			r.server, reason, r.untold, now.Sub(r.untoldBy).Round(time.Second), left)
	}
	if !r.told {
		// Soon after the last message, the server is flapping. Otherwise log as for the first
		// outage.
		if !r.last.IsZero() && now.Sub(r.last) < 2*quiet {
			r.hush = min(2*quiet, longestHush)
		} else {
			r.hush = logEvery
		}
	}
	r.told, r.last, r.untold = true, now, 0
	r.log.WarnContext(ctx, text)
}

// answered records the end of an outage.
func (r *report) answered(ctx context.Context) {
	r.down = false
	if !r.told {
		return
	}
	now := time.Now()
	r.last = now
	r.log.InfoContext(ctx, fmt.Sprintf("%s answers again after %s", r.server, now.Sub(r.since).Round(100*time.Millisecond)))
}
