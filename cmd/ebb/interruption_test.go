package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// TestInterruption hears signals at given times. A clock that is set must not matter: what
// is compared is the monotonic reading, which times of time.Now have.
func TestInterruption(t *testing.T) {
	t.Parallel()
	const (
		hup  = syscall.SIGHUP
		sint = syscall.SIGINT
		term = syscall.SIGTERM
	)
	type heard struct {
		sig  os.Signal
		at   time.Duration
		want meaning
	}
	for name, signals := range map[string][]heard{
		"timeout(1)":             {{term, 0, undo}, {term, 0, nothingNew}},
		"within a second":        {{sint, 0, undo}, {sint, 999 * time.Millisecond, nothingNew}},
		"a second later":         {{sint, 0, undo}, {sint, time.Second, exitAtOnce}},
		"hammered":               {{sint, 0, undo}, {sint, 600 * time.Millisecond, nothingNew}, {sint, 1200 * time.Millisecond, exitAtOnce}},
		"a wrapper's":            {{sint, 0, undo}, {term, 0, nothingNew}, {sint, 10 * time.Millisecond, nothingNew}},
		"two kinds":              {{sint, 0, undo}, {term, time.Second, exitAtOnce}},
		"terminal closes":        {{hup, 0, undo}, {hup, 0, nothingNew}, {hup, time.Hour, nothingNew}},
		"systemd":                {{term, 0, undo}, {hup, 0, nothingNew}, {term, 2 * time.Second, exitAtOnce}},
		"systemd, sent twice":    {{term, 0, undo}, {hup, 0, nothingNew}, {term, 0, nothingNew}},
		"a shell passes it on":   {{hup, 0, undo}, {term, 5 * time.Millisecond, nothingNew}},
		"closes, then impatient": {{hup, 0, undo}, {sint, 2 * time.Second, exitAtOnce}},
	} {
		var i interruption
		began := time.Now()
		for n, s := range signals {
			if got := i.hear(s.sig, began.Add(s.at)); got != s.want {
				t.Errorf("%s: signal %d, %s after %s: got meaning %d, want %d", name, n, s.sig, s.at, got, s.want)
			}
		}
	}
}
