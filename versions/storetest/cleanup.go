package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/versions"
)

func cleanup(t *testing.T, s versions.Store) {
	mark := func(e versions.Execution, f versions.File) versions.File {
		t.Helper()
		f, err := e.MarkExecuted(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	mixed, done, live := begin(t, s, "mixed"), begin(t, s, "done"), begin(t, s, "live")
	pending := flush(t, mixed, "pod", "x")
	executed := mark(mixed, flush(t, mixed, "pod", "x"))
	other := mark(done, flush(t, done, "pod", "x"))
	kept := mark(live, flush(t, live, "pod", "x"))
	closeNow(t, mixed)
	closeNow(t, done)

	month := 30 * 24 * time.Hour
	if removed, err := versions.Cleanup(t.Context(), s, versions.CleanupOptions{OlderThan: month, Now: time.Now()}); err != nil || len(removed) != 0 {
		t.Errorf("too early: got %v, %v, want nothing", removed, err)
	}
	removed, err := versions.Cleanup(t.Context(), s, versions.CleanupOptions{OlderThan: month, Now: time.Now().Add(2 * month)})
	if err != nil {
		t.Fatal(err)
	}
	got, want := names(removed), []string{executed.Name, other.Name}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("removed %q, want %q", got, want)
	}
	left := map[string][]string{}
	for _, info := range list(t, s, versions.Filter{}) {
		left[info.ID] = names(info.Files)
	}
	if diff := cmp.Diff(map[string][]string{mixed.ID(): {pending.Name}, live.ID(): {kept.Name}}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}
