package builtins

import (
	"context"
	"sync"
)

// permission is the permission for one changing request, for as long as the request takes.
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

// ask asks again.
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

// check is called when the request is sent. It sends no request itself.
func (p *permission) check() error {
	p.mu.Lock()
	check := p.last
	p.mu.Unlock()
	if check == nil {
		return nil
	}
	return check()
}
