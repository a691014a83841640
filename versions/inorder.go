package versions

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// portion is the number of entries that a goroutine takes at a time.
	portion = 64
	// ahead is the number of portions of each goroutine that may wait to be yielded.
	ahead = 4
)

// inOrder processes entries in several goroutines, and yields the results in the order of the
// entries. worker returns the function of one goroutine. All goroutines have ended when it returns.
func inOrder[E, R any](ctx context.Context, entries []E, worker func() func(E) []R) iter.Seq[R] {
	return func(yield func(R) bool) {
		portions := (len(entries) + portion - 1) / portion
		done := make([]chan []R, portions)
		for i := range done {
			done[i] = make(chan []R, 1)
		}
		goroutines := min(runtime.GOMAXPROCS(0), portions)
		tokens := make(chan struct{}, ahead*goroutines) // one for each portion that was not yielded yet
		var next atomic.Int64
		var work sync.WaitGroup
		ctx, stop := context.WithCancel(ctx)
		defer work.Wait()
		defer stop()
		for range goroutines {
			work.Go(func() {
				one := worker()
				for {
					select {
					case tokens <- struct{}{}:
					case <-ctx.Done():
						return
					}
					// Take the token first, so that the next portion to be yielded always has one.
					i := int(next.Add(1)) - 1
					if i >= portions || ctx.Err() != nil {
						return
					}
					results := make([]R, 0, portion)
					for _, e := range entries[i*portion : min((i+1)*portion, len(entries))] {
						results = append(results, one(e)...)
					}
					done[i] <- results
				}
			})
		}
		for i := range done {
			var results []R
			select {
			case results = <-done[i]:
			case <-ctx.Done():
				return
			}
			<-tokens
			for _, r := range results {
				if !yield(r) {
					return
				}
			}
		}
	}
}
