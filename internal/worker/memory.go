package worker

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// memoryPause is the time between two checks of the memory.
const memoryPause = 10 * time.Millisecond

// heartbeat reports that this process is alive, as long as the runtime schedules its goroutine. It
// ends the process if it uses too much memory.
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

// A worker with a small heap spends less time on garbage collection: up to smallHeap, the heap may
// grow to three times what is in use, and above that to twice, as by default.
const (
	smallHeap     = 40 << 20
	smallHeapGrow = 300
)

// collectLater makes the collector run less often, unless the user has set GOGC.
func collectLater() bool {
	if os.Getenv("GOGC") != "" {
		return false
	}
	debug.SetGCPercent(smallHeapGrow)
	return true
}

// WatchMemory calls over if the heap of this process is larger than limit, in bytes. The
// interpreter has no such limit, and Go's own limit only makes the collector run more often. The
// argument of over completes a sentence that begins with "the process". WatchMemory returns after
// that, or when ctx is cancelled.
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

// units are the units in which a size is printed.
var units = []struct {
	name  string
	bytes uint64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// size prints a number of bytes for people.
func size(n uint64) string {
	for _, unit := range units {
		if n >= unit.bytes && n%unit.bytes == 0 {
			return fmt.Sprintf("%d %s", n/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
