// Package cloudtest plays the clouds for tests: servers on loopback that check the
// credentials of every request, keep state, and are late and unreliable like the real ones.
//
// Start with [NewAWS] or [NewGCP], put something there, and give the program under test the
// variables of Env. Tell it what goes wrong with Fault, and ask it what came of it: State,
// ACL, Calls.
//
// Avoid sleeping in tests: what takes time here takes looks, not seconds. A change is not
// shown at once, and a machine needs several looks to stop.
//
// What is promised: a request with a wrong signature, key or token is refused and changes
// nothing; somebody else's machines and lists are kept as they were put there; no packet
// leaves the machine.
package cloudtest

import (
	"bytes"
	"io"
	"net/http"
	"sync"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// script is what goes wrong, by call.
type script struct {
	mu     sync.Mutex
	faults map[string][]sandboxtest.Fault
	calls  map[string]int
}

// Fault gives the next requests of a call their faults, one after the other; those
// that follow pass.
func (s *script) Fault(call string, faults ...sandboxtest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		s.faults = map[string][]sandboxtest.Fault{}
	}
	s.faults[call] = append(s.faults[call], faults...)
}

// Calls counts the requests of a call, those with faults too.
func (s *script) Calls(call string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

// next counts a request and returns its fault.
func (s *script) next(call string) sandboxtest.Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls == nil {
		s.calls = map[string]int{}
	}
	s.calls[call]++
	if len(s.faults[call]) == 0 {
		return sandboxtest.Pass
	}
	fault := s.faults[call][0]
	s.faults[call] = s.faults[call][1:]
	return fault
}

// serve answers with handler, or goes wrong. The handler gets the request's body.
func (s *script) serve(w http.ResponseWriter, r *http.Request, name func(body []byte) string, handler func(w http.ResponseWriter, r *http.Request, body []byte)) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client went
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.next(name(body))(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r, body) }))
}

// lagging is a value whose changes show late.
type lagging[T any] struct {
	now, old T
	looks    int // that still see the old one
}

func (l *lagging[T]) set(v T, looks int) { l.old, l.now, l.looks = l.now, v, looks }

func (l *lagging[T]) look() T {
	if l.looks > 0 {
		l.looks--
		return l.old
	}
	return l.now
}
