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
	// maxNesting bounds parallel inside parallel. The stack of each item starts empty, so the
	// recursion check of the interpreter does not see that a function calls itself through
	// parallel.
	maxNesting = 3
)

// parallel implements parallel(fn, items, limit = 16): fn(item) for every item, each on a thread of
// its own with the full step limit. It waits for all items, even if some fail.
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

	// Threads may only share frozen values.
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
				// After the end of the context, onThread starts nothing. So the remaining items
				// take no time.
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

// A parallelError says how many items of parallel failed. Its chain has the error of one of them
// only.
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

// firstFailure returns the first error in the order of the items. An error that can't be caught
// goes before those that can: attempt around parallel must not hide a mistake in the script.
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
