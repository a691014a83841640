package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/versions"
)

func inFlight(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	flush(t, e, "pod", "x")
	now := time.Now().Round(0).UTC()
	first := versions.Mark{Verb: "create", Kind: "Pod", Namespace: "ns", Name: "a", At: now, Until: now.Add(time.Hour)}
	second := versions.Mark{Verb: "delete", Kind: "Node", Name: "b\n\x1b[31m", At: now.Add(time.Second), Until: now.Add(time.Hour)}
	past := versions.Mark{Verb: "patch", Kind: "Pod", Name: "c", At: now.Add(-time.Hour), Until: now.Add(-time.Minute)}
	var unmarks []func() error
	for _, m := range []versions.Mark{second, first, past} {
		unmark, err := e.MarkInFlight(m)
		if err != nil {
			t.Fatal(err)
		}
		unmarks = append(unmarks, unmark)
	}
	check := func(e versions.Execution, want ...versions.Mark) {
		t.Helper()
		got, err := e.InFlight(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range got { // what the store adds
			if got[i].Life != got[i].Until.Sub(got[i].At) || got[i].Host == "" {
				t.Errorf("got %+v, want how long it lasts and where it was made", got[i])
			}
			got[i].Life, got[i].Host, got[i].Boot, got[i].Uptime = 0, "", "", 0
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("marks (-want +got):\n%s", diff)
		}
	}
	check(e, past, first, second)
	if err := unmarks[0](); err != nil {
		t.Fatal(err)
	}
	check(e, past, first)
	closeNow(t, e)

	// A mark whose request may still arrive is kept; one whose request can't arrive is dropped.
	again, err := s.Open(t.Context(), e.ID())
	if err != nil {
		t.Fatal(err)
	}
	check(again, first)
	if _, err := again.MarkInFlight(second); err != nil {
		t.Fatal(err)
	}
	check(again, first, second)
	closeNow(t, again)
}
