package versions

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bootID is read once: it changes with the kernel, under which this process does not live on.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // no /proc: marks then go by the wall clock, as elsewhere
	}
	return strings.TrimSpace(string(id))
})

// thisBoot reads the clock that nobody sets and that counts on while the machine sleeps, which Go's
// monotonic clock does not.
func thisBoot() boot {
	current := boot{host: hostName()}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err == nil {
		current.id, current.uptime = bootID(), time.Duration(ts.Nano())
	}
	return current
}
