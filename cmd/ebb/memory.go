package main

import (
	"fmt"
	"runtime/metrics"
	"time"
)

// maxMemory is what a process that replays may take. No undo needs a tenth of it, and the
// machine, which is perhaps the last good one of a half-broken cluster, stays usable.
const maxMemory = 4 << 30

// limitMemory ends the process when it takes more than that: the interpreter has no such
// limit, and Go's own only makes the collector work harder. alive is called now and then,
// for as long as the runtime gives each goroutine its turn.
func (s *setup) limitMemory(alive func()) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	go func() {
		for n := 0; ; n++ {
			metrics.Read(sample)
			if used := sample[0].Value.Uint64(); used > maxMemory {
				s.end(fmt.Sprintf("used more than %d GiB of memory", maxMemory>>30))
			}
			if n%100 == 0 {
				alive()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
}
