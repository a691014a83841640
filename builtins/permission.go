package builtins

import (
	"context"
	"sync"
)

// permission is that of one changing request, for as long as it takes.
type permission struct {
	session *Session
	mu      sync.Mutex
	last    func() error
}

// permission asks whether this process may still make changes.
func (s *Session) permission(ctx context.Context) (*permission, error) {
	p := &permission{session: s}
	return p, p.ask(ctx)
}

// ask asks once more.
func (p *permission) ask(ctx context.Context) error {
	if p.session.Permit == nil {
		return nil
	}
	check, err := p.session.Permit(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = check
	return nil
}

// check is for the moment at which a request is sent: it asks nobody.
func (p *permission) check() error {
	p.mu.Lock()
	check := p.last
	p.mu.Unlock()
	if check == nil {
		return nil
	}
	return check()
}
