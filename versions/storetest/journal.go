package storetest

import (
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
)

func journal(t *testing.T, s versions.Store) {
	read := func(f versions.Filter) (entries []versions.Entry) {
		t.Helper()
		for e, err := range s.Journal(t.Context(), f) {
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
		return entries
	}
	if got := read(versions.Filter{}); len(got) != 0 {
		t.Fatalf("got %v, want nothing", got)
	}
	long := strings.Repeat("ü\x00", 10_000)
	for _, e := range []versions.Entry{
		{Event: versions.EventFlushed, RunUUID: "a", ScenarioType: "pod", File: "f"},
		{Event: versions.EventOutcome, RunUUID: "ab", ScenarioType: "pod", Message: "line\nbreak <&>"},
		{Event: versions.EventAttempt, RunUUID: "a", ScenarioType: "hog", Message: long, Outcome: long},
	} {
		if err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	got := read(versions.Filter{})
	if len(got) != 3 || got[0].Event != versions.EventFlushed || got[1].Message != "line\nbreak <&>" {
		t.Fatalf("got %+v", got)
	}
	for _, e := range got {
		if e.Time.IsZero() || e.User == "" || e.Host == "" || e.PID == 0 {
			t.Errorf("got %+v, want when and who", e)
		}
	}
	if m := got[2].Message; !strings.HasSuffix(m, "…") || !strings.HasPrefix(long, strings.TrimSuffix(m, "…")) || len(m) < 100 {
		t.Errorf("got message of %d bytes, want a shortened one with an ellipsis", len(m))
	}
	if got := read(versions.Filter{RunUUID: "a"}); len(got) != 2 {
		t.Errorf("run a: got %+v, want 2", got)
	}
	if got := read(versions.Filter{RunUUID: "a", ScenarioType: "pod"}); len(got) != 1 {
		t.Errorf("run a, pod: got %+v, want 1", got)
	}
	for range s.Journal(t.Context(), versions.Filter{}) {
		break // may stop early
	}
}
