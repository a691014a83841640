package builtins

import "github.com/ebb-chaos/ebb/internal/kube"

// Identity is what tells an object from others of its name. Both are empty if they are not known.
type Identity struct{ APIVersion, UID string }

// Identity returns that of an object as the session has last seen it.
func (s *Session) Identity(r Ref) Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identities[r]
}

// identify remembers an object that was read or made.
func (s *Session) identify(o *object, obj kube.Object) {
	if obj == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.identities == nil {
		s.identities = map[Ref]Identity{}
	}
	s.identities[o.ref] = Identity{o.resource.APIVersion(), uidOf(obj)}
}
