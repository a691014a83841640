package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A group runs the components side by side. The first one that ends before it was told to ends all
// others.
type group struct {
	ctx  context.Context
	fail context.CancelCauseFunc
	done sync.WaitGroup
}

func newGroup(parent context.Context) *group {
	g := &group{}
	g.ctx, g.fail = context.WithCancelCause(parent)
	return g
}

func (g *group) run(name string, component func(context.Context) error) {
	g.done.Go(func() {
		err := component(g.ctx)
		if err == nil {
			err = errors.New("ended without being asked to")
		}
		// Kubernetes' aggregated errors have several lines; ours have one. After the end of the
		// group, this changes nothing.
		g.fail(fmt.Errorf("%s: %s", name, strings.ReplaceAll(err.Error(), "\n", "; ")))
	})
}

const (
	pollInterval = 25 * time.Millisecond
	pollLimit    = 5 * time.Minute
	stopLimit    = 10 * time.Second
)

// poll calls condition until it holds. It fails when the group ends or after pollLimit, with the
// last error of condition.
func (g *group) poll(what string, condition func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(g.ctx, pollLimit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		ok, err := condition(ctx)
		if ok {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
			continue
		case <-g.ctx.Done():
			return context.Cause(g.ctx)
		case <-ctx.Done():
		}
		if last == nil {
			last = errors.New("not so yet")
		}
		return fmt.Errorf("waited %v for %s: %w", pollLimit, what, last)
	}
}

// wait returns why the group ended.
func (g *group) wait() error {
	<-g.ctx.Done()
	return context.Cause(g.ctx)
}

// stop ends all components, but does not wait forever: it matters more that everything is removed
// afterwards.
func (g *group) stop() {
	g.fail(context.Canceled)
	all := make(chan struct{})
	go func() {
		g.done.Wait()
		close(all)
	}()
	select {
	case <-all:
	case <-time.After(stopLimit):
	}
}

// ignoreEnd drops errors that only say that ctx has ended, which is the normal end of a component.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
