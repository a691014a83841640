package kube

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// pluginLimit is how long the credential plugin of a kubeconfig may take. Somebody may have to log
// in.
const pluginLimit = time.Minute

// plugin limits the time of the credential plugin. client-go waits for it without a limit, whatever
// the context says.
type plugin struct {
	mu    sync.Mutex
	stuck <-chan struct{} // open as long as the command that was given up runs
	after time.Duration   // when it was given up
}

// do calls request, which runs the plugin before it begins. If the plugin still runs after limit or
// at the end of ctx, do returns without it.
func (p *plugin) do(ctx context.Context, limit time.Duration, began *atomic.Bool, request func() response) (response, error) {
	if p.isStuck() { // the request would wait for that same command
		return response{}, p.failure()
	}
	var result response
	done := make(chan struct{})
	go func() {
		defer close(done)
		result = request()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	var ended error
	select {
	case <-done:
		return result, nil
	case <-timer.C:
	case <-ctx.Done():
		ended = ctx.Err()
	}
	late := began.Load()
	if late {
		// A request ends with its context, unless it was refused and runs the plugin once more.
		select {
		case <-done:
			return result, nil
		case <-time.After(promptly):
		}
	}
	if ended != nil {
		return response{}, ended
	}
	p.mu.Lock()
	p.stuck, p.after = done, limit
	p.mu.Unlock()
	if late {
		return response{}, context.DeadlineExceeded // what was sent may be carried out
	}
	return response{}, p.failure()
}

func (p *plugin) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &CredentialError{fmt.Errorf("getting credentials: the command has not ended after %s", p.after.Round(time.Second))}
}

func (p *plugin) isStuck() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stuck == nil {
		return false
	}
	select {
	case <-p.stuck:
		p.stuck = nil
		return false
	default:
		return true
	}
}
