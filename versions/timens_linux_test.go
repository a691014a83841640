package versions

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A container may have a clock of its own since the boot: what a mark says there is read the same
// outside, and the other way round.
func TestTimeNamespace(t *testing.T) {
	raw := func() time.Duration {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ts.Nano())
	}
	if os.Getenv("EBB_TEST_TIME_NAMESPACE") != "" {
		here := thisBoot()
		fmt.Printf("inside %d %d %s\n", raw(), here.uptime, here.id)
		return
	}
	for _, offset := range []time.Duration{1_000_000 * time.Second, -5 * time.Second} {
		inside := exec.Command("unshare", "--time", "--boottime", fmt.Sprint(int(offset.Seconds())), "--fork", os.Args[0], "-test.run=^TestTimeNamespace$")
		inside.Env = append(os.Environ(), "EBB_TEST_TIME_NAMESPACE=1")
		before := thisBoot()
		out, err := inside.CombinedOutput()
		var clock, uptime time.Duration
		var id string
		if _, scanErr := fmt.Sscanf(string(out), "inside %d %d %s", &clock, &uptime, &id); scanErr != nil {
			t.Skipf("NOT TRIED IN A TIME NAMESPACE: THE MACHINE MAKES NONE: %v: %s", err, strings.TrimSpace(string(out)))
		}
		after, last := thisBoot(), raw()
		if clock-last > offset || clock-last < offset-(after.uptime-before.uptime) {
			t.Errorf("the clock inside was %s ahead, want %s: nothing was tried", clock-last, offset)
		}
		if uptime < before.uptime || uptime > after.uptime || id != before.id {
			t.Errorf("%s ahead: got %s on boot %q inside, want between %s and %s on %q", offset, uptime, id, before.uptime, after.uptime, before.id)
		}
	}
}
