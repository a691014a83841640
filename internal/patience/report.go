package patience

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	// logEvery is how often an outage that goes on is mentioned, and how soon after a line
	// about one outage another may be mentioned.
	logEvery = 10 * time.Second
	// longestHush is how rarely a server that keeps coming and going is mentioned.
	longestHush = 5 * time.Minute
)

// report tells of outages. A server that flaps would be worth two lines a request: each outage
// that is told makes the next one wait twice as long for its line, unless it lasts.
type report struct {
	server string
	log    *slog.Logger

	down  bool // the latest attempt of any call brought no usable answer
	since time.Time
	told  bool // this outage was

	last     time.Time // line
	hush     time.Duration
	untold   int // outages since the last line, with the one that goes on
	untoldBy time.Time
}

// missed notes an attempt without a usable answer.
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
		// Soon after the last one: it flaps. Otherwise it is told of as the first time.
		if !r.last.IsZero() && now.Sub(r.last) < 2*quiet {
			r.hush = min(2*quiet, longestHush)
		} else {
			r.hush = logEvery
		}
	}
	r.told, r.last, r.untold = true, now, 0
	r.log.WarnContext(ctx, text)
}

// answered notes the end of an outage.
func (r *report) answered(ctx context.Context) {
	r.down = false
	if !r.told {
		return
	}
	now := time.Now()
	r.last = now
	r.log.InfoContext(ctx, fmt.Sprintf("%s answers again after %s", r.server, now.Sub(r.since).Round(100*time.Millisecond)))
}
