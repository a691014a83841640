package builtins

import "github.com/ebb-chaos/ebb/internal/kube"

// Identity distinguishes an object from others of the same name. Both fields are "" if they are not
// known.
type Identity struct{ APIVersion, UID string }

// Identity returns the identity of an object when the session last read it.
func (s *Session) Identity(r Ref) Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identities[r]
}

// identify records the identity of an object that was read or created.
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
