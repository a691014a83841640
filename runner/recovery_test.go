package runner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/runner"
)

// The time that a recovery takes is not the file's, which is shorter here.
func TestRecoveryHasItsOwnTime(t *testing.T) {
	b := newBenchFor(t, 50*time.Millisecond)
	b.execution("run-1", file("slow", `looks = []

    def there():
        looks.append(1)
        return len(looks) == 3

    if not await_recovery(there, 60):
        fail("it is not there")`))
	b.execution("run-2", file("never", `if not await_recovery(lambda: False, 0.1):
        fail("it did not recover")`))
	report := b.replay(runner.ReplayOptions{})
	for i, want := range []struct {
		outcome runner.Outcome
		text    string
	}{{runner.Failed, "it did not recover"}, {runner.Restored, ""}} {
		got := report.Results[i]
		if got.Outcome != want.outcome || want.text != "" && (got.Err == nil || !strings.Contains(got.Err.Error(), want.text)) {
			t.Errorf("file %d: got %s, %v, want %s, %q", i, got.Outcome, got.Err, want.outcome, want.text)
		}
	}
}
