package builtins

import "sync"

// Absences are objects that the API server itself said are gone, while one version file was undone:
// it answered that a delete has removed the very object of a UID, or that there is none of that name.
// The verify that follows at once need not ask the same again.
//
// It takes part only as long as the undo deletes, and does nothing else: what creates or changes
// something, in the cluster or outside, may bring an object back, so that nothing is believed from
// then on; so does what waits. An object whose create may still be under way is never noted. The zero value is ready.
type Absences struct {
	mu   sync.Mutex
	void bool
	refs map[Ref]bool
}

// noteAbsent records that r is gone, now that s has waited for what could bring it back.
func (s *Session) noteAbsent(r Ref) {
	if s.Absences == nil || s.Mode != Undo || s.answerLost(r) {
		return
	}
	a := s.Absences
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refs == nil {
		a.refs = map[Ref]bool{}
	}
	a.refs[r] = true
}

// voidAbsences forgets all, for good, before a change that is no delete, or a wait.
func (s *Session) voidAbsences() {
	if s.Absences == nil {
		return
	}
	s.Absences.mu.Lock()
	defer s.Absences.mu.Unlock()
	s.Absences.void = true
}

// knownAbsent reports whether a verify may take r for gone without asking.
func (s *Session) knownAbsent(r Ref) bool {
	if s.Absences == nil || s.Mode != Verify || s.answerLost(r) {
		return false
	}
	s.Absences.mu.Lock()
	defer s.Absences.mu.Unlock()
	return !s.Absences.void && s.Absences.refs[r]
}
