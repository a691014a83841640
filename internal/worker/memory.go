package worker

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memoryPause is how often the memory is looked at.
const memoryPause = 10 * time.Millisecond

// heartbeat says that this process is alive, for as long as the runtime gives each goroutine its
// turn, and ends it when it takes too much memory.
func (w *Inside[O, E]) heartbeat(l limits) {
	var last time.Time
	leisurely := collectLater()
	for ; ; time.Sleep(memoryPause) {
		if leisurely && overMemory(smallHeap) != "" {
			debug.SetGCPercent(100) // Go's default
			leisurely = false
		}
		if why := overMemory(l.Memory); why != "" {
			w.Fatal(why)
		}
		if time.Since(last) < l.Silence/beats {
			continue
		}
		last = time.Now()
		if err := w.events.send(envelope[E]{}); err != nil {
			Exit(exitEnded)
		}
	}
}

// A worker that needs little memory spends less of its time on collecting garbage: up to smallHeap, the
// heap may grow to three times of what is in use, and not twice as by default. One that holds much is
// frugal.
const (
	smallHeap     = 40 << 20
	smallHeapGrow = 300
)

// collectLater has the collector work less, unless the user has said how much it is to.
func collectLater() bool {
	if os.Getenv("GOGC") != "" {
		return false
	}
	debug.SetGCPercent(smallHeapGrow)
	return true
}

// WatchMemory calls over when this process's heap is larger than limit, in bytes: the interpreter
// has no such limit, and Go's own only makes the collector work harder. over gets words that
// complete a sentence whose subject is the process. WatchMemory returns after that, or when ctx is
// cancelled.
func WatchMemory(ctx context.Context, limit uint64, over func(why string)) {
	ticks := time.NewTicker(memoryPause)
	defer ticks.Stop()
	for ctx.Err() == nil {
		if why := overMemory(limit); why != "" {
			over(why)
			return
		}
		select {
		case <-ctx.Done():
		case <-ticks.C:
		}
	}
}

func overMemory(limit uint64) string {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Uint64() <= limit {
		return ""
	}
	return "used more than " + size(limit) + " of memory"
}

// units are what a size is told in.
var units = []struct {
	name  string
	bytes uint64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// size is a number of bytes for people.
func size(n uint64) string {
	for _, unit := range units {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return fmt.Sprintf("%d %s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
