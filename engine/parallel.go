package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"go.starlark.net/starlark"
)

const (
	// maxParallel bounds the goroutines of one parallel.
	maxParallel = 256
	// maxNesting bounds parallel inside parallel. Each item starts with an empty stack, where the
	// interpreter's recursion check sees nothing, so a function that spreads itself would never
	// end.
	maxNesting = 3
)

// parallel implements parallel(fn, items, limit = 16): fn(item) for every item, each on a thread of
// its own with the full step limit. It waits for all, whatever fails.
func parallel(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var (
		fn       starlark.Callable
		iterable starlark.Iterable
		limit    = 16
	)
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "fn", &fn, "items", &iterable, "limit?", &limit); err != nil {
		return nil, err
	}
	if limit < 1 || limit > maxParallel {
		return nil, fmt.Errorf("%s: for parameter limit: got %d, want 1 to %d", b.Name(), limit, maxParallel)
	}
	parent := callOf(t)
	if parent == nil {
		return nil, fmt.Errorf("%s: called outside of an engine's thread", b.Name())
	}
	if parent.nesting >= maxNesting {
		return nil, fmt.Errorf("%s: nested more than %d deep", b.Name(), maxNesting)
	}

	// Frozen values are the only ones that threads may share.
	fn.Freeze()
	iterable.Freeze()
	var items []starlark.Value
	for item := range starlark.Elements(iterable) {
		items = append(items, item)
	}

	results := make([]starlark.Value, len(items))
	errs := make([]error, len(items))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(limit, len(items)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(items) {
					return
				}
				// onThread starts nothing once the context is done, so a cancelled rest is quick.
				errs[i] = parent.engine.onThread(parent.ctx, t.Name, parent.nesting+1, func(t *starlark.Thread) (err error) {
					results[i], err = starlark.Call(t, fn, starlark.Tuple{items[i]}, nil)
					return err
				})
			}
		})
	}
	workers.Wait()
	if err := firstFailure(errs); err != nil {
		return nil, err
	}
	return starlark.NewList(results), nil
}

// A parallelError is the failure of some of parallel's items. Only what one of them raised is in
// its chain.
type parallelError struct {
	failed, total int
	item          int
	first         error
}

func (p *parallelError) Error() string {
	msg := p.first.Error()
	var inner *Error
	if errors.As(p.first, &inner) {
		msg = inner.Msg
	}
	return fmt.Sprintf("%d of %d items failed, the first at index %d: %s", p.failed, p.total, p.item, msg)
}

func (p *parallelError) Unwrap() error { return p.first }

// firstFailure returns the first error by item order, but one that can't be caught before those
// that can: attempt around parallel must not hide a programming error behind a failure of the
// world.
func firstFailure(errs []error) error {
	var failure *parallelError
	failed, hard := 0, false
	for i, err := range errs {
		if err == nil {
			continue
		}
		failed++
		var caught Catchable
		catchable := errors.As(err, &caught)
		if failure == nil || !hard && !catchable {
			failure = &parallelError{total: len(errs), item: i, first: err}
			hard = !catchable
		}
	}
	if failure == nil {
		return nil
	}
	failure.failed = failed
	return failure
}
