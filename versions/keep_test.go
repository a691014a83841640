package versions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/versions"
)

// Of many executions that are undone, the newest stay, whatever their age; one of which something is
// pending is never counted and never touched.
func TestCleanupKeeps(t *testing.T) {
	s := versions.NewMemory()
	for i := range 5 {
		e, err := s.Begin(t.Context(), fmt.Sprintf("run-%d", i))
		must(t, err)
		f, err := e.Flush(t.Context(), "pod", []byte("x"))
		must(t, err)
		_, err = e.MarkExecuted(t.Context(), f)
		must(t, err)
		if i == 3 {
			_, err = e.Flush(t.Context(), "pod", []byte("pending"))
			must(t, err)
		}
		must(t, e.Close())
	}
	left := func() string {
		t.Helper()
		listing, err := s.List(t.Context(), versions.Filter{})
		must(t, err)
		var runs []string
		for _, x := range listing.Executions {
			runs = append(runs, fmt.Sprintf("%s:%d", strings.TrimPrefix(x.RunUUID, "run-"), len(x.Files)))
		}
		return strings.Join(runs, " ")
	}
	for _, step := range []struct {
		options versions.CleanupOptions
		removed int
		left    string
	}{
		{versions.CleanupOptions{OlderThan: time.Hour}, 0, "4:1 3:2 2:1 1:1 0:1"},
		{versions.CleanupOptions{OlderThan: time.Hour, Keep: 4}, 0, "4:1 3:2 2:1 1:1 0:1"},
		{versions.CleanupOptions{OlderThan: time.Hour, Keep: 2, DryRun: true}, 2, "4:1 3:2 2:1 1:1 0:1"},
		{versions.CleanupOptions{OlderThan: time.Hour, Keep: 2}, 2, "4:1 3:2 2:1"},
		{versions.CleanupOptions{OlderThan: time.Hour, Now: time.Now().Add(2 * time.Hour), Keep: 2}, 3, "3:1"},
	} {
		removed, err := versions.Cleanup(t.Context(), s, step.options)
		if err != nil || len(removed) != step.removed || left() != step.left {
			t.Errorf("%+v: removed %d, %v, left %q, want %d and %q", step.options, len(removed), err, left(), step.removed, step.left)
		}
	}
}
