package versions

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bootID is read once: it changes only at a boot, which ends this process.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // no /proc: marks then use the wall clock, as on other systems
	}
	return strings.TrimSpace(string(id))
})

// thisBoot reads CLOCK_BOOTTIME. Nobody can set it, and it counts while the machine sleeps. Go's
// monotonic clock does not.
func thisBoot() boot {
	current := boot{host: hostName()}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return current
	}
	current.uptime = time.Duration(ts.Nano())
	if ahead, err := bootOffset(); err == nil { // otherwise other processes have another clock
		current.id, current.uptime = bootID(), current.uptime-ahead
	}
	return current
}

// bootOffset is the offset of the clock in the time namespace of this process, which a container
// may have. It is subtracted, so that all processes of one boot have the same clock.
var bootOffset = sync.OnceValues(func() (time.Duration, error) {
	offsets, err := os.ReadFile("/proc/self/timens_offsets")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // a kernel without time namespaces
	}
	if err != nil {
		return 0, err
	}
	// The file describes the namespace of the children of this process.
	own, ownErr := os.Readlink("/proc/self/ns/time")
	childrens, err := os.Readlink("/proc/self/ns/time_for_children")
	if err = errors.Join(ownErr, err); err != nil || own != childrens {
		return 0, errors.Join(err, errors.New("the offset of this time namespace is not known"))
	}
	return parseBootOffset(string(offsets))
})

// parseBootOffset reads the offset of CLOCK_BOOTTIME from lines of a clock, seconds and nanoseconds.
func parseBootOffset(lines string) (time.Duration, error) {
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "boottime" && f[0] != strconv.Itoa(unix.CLOCK_BOOTTIME) {
			continue
		}
		seconds, err := strconv.ParseInt(f[1], 10, 64)
		nanoseconds, nanoErr := strconv.ParseInt(f[2], 10, 64)
		return time.Duration(seconds)*time.Second + time.Duration(nanoseconds), errors.Join(err, nanoErr)
	}
	return 0, fmt.Errorf("/proc/self/timens_offsets: got %q, want a line of boottime", lines)
}
