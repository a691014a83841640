package builtins

import "sync"

// Absences are objects that the API server has proven to be gone during the undo of one version
// file: its answer says that a delete has removed the object with a UID, or that no object has the
// name. The verify that follows need not ask for them again.
//
// They are recorded only while the undo does nothing but delete. A create, another change in or
// outside the cluster, or a wait may bring an object back: after that, none counts. An object whose
// create may still be under way is never recorded. The zero value is ready for use.
type Absences struct {
	mu   sync.Mutex
	void bool
	refs map[Ref]bool
}

// noteAbsent records that r is gone. s has waited for all requests that could bring it back.
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

// voidAbsences drops all absences for good. It is called before a change that is no delete, and
// before a wait.
func (s *Session) voidAbsences() {
	if s.Absences == nil {
		return
	}
	s.Absences.mu.Lock()
	defer s.Absences.mu.Unlock()
	s.Absences.void = true
}

// knownAbsent reports whether a verify may treat r as gone without a request.
func (s *Session) knownAbsent(r Ref) bool {
	if s.Absences == nil || s.Mode != Verify || s.answerLost(r) {
		return false
	}
	s.Absences.mu.Lock()
	defer s.Absences.mu.Unlock()
	return !s.Absences.void && s.Absences.refs[r]
}
