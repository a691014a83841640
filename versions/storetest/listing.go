package storetest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/versions"
)

func ordered(t *testing.T, s versions.Store) {
	var want []string
	for range 20 {
		e := begin(t, s, run)
		flush(t, e, "pod", "x")
		want = append([]string{e.ID()}, want...)
	}
	var got []string
	for _, info := range list(t, s, versions.Filter{}) {
		got = append(got, info.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
}

// executions checks that the stream has what the list has, in both directions, and ends when the
// caller stops.
func executions(t *testing.T, s versions.Store) {
	for range 5 {
		flush(t, begin(t, s, run), "pod", "x")
	}
	want := list(t, s, versions.Filter{})
	stream := func(f versions.Filter, most int) (got []versions.ExecutionInfo) {
		for x, err := range versions.Executions(t.Context(), s, f) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, x); len(got) == most {
				break
			}
		}
		return got
	}
	if diff := cmp.Diff(want, stream(versions.Filter{}, 9)); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:2], stream(versions.Filter{}, 2)); diff != "" {
		t.Errorf("the first two (-want +got):\n%s", diff)
	}
	slices.Reverse(want)
	if diff := cmp.Diff(want, stream(versions.Filter{OldestFirst: true}, 9)); diff != "" {
		t.Errorf("oldest first (-want +got):\n%s", diff)
	}
	if got := stream(versions.Filter{RunUUID: "another"}, 9); len(got) > 0 {
		t.Errorf("got %v of another run", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for x, err := range versions.Executions(ctx, s, versions.Filter{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v and %v with a cancelled context", x, err)
		}
	}
}

func filter(t *testing.T, s versions.Store) {
	a, b := begin(t, s, "run-a"), begin(t, s, "run-ab")
	hog, pod := flush(t, a, "hog_scenarios", "x"), flush(t, a, "pod", "x")
	done, err := b.MarkExecuted(t.Context(), flush(t, b, "pod", "x"))
	if err != nil {
		t.Fatal(err)
	}
	empty := begin(t, s, "run-empty")
	for _, test := range []struct {
		filter versions.Filter
		want   map[string][]string
	}{
		{versions.Filter{}, map[string][]string{a.ID(): {pod.Name, hog.Name}, b.ID(): {done.Name}, empty.ID(): {}}},
		{versions.Filter{RunUUID: "run-a"}, map[string][]string{a.ID(): {pod.Name, hog.Name}}},
		{versions.Filter{RunUUID: "run"}, map[string][]string{}},
		{versions.Filter{ScenarioType: "pod"}, map[string][]string{a.ID(): {pod.Name}, b.ID(): {done.Name}}},
		{versions.Filter{ScenarioType: "hog"}, map[string][]string{}},
		{versions.Filter{PendingOnly: true}, map[string][]string{a.ID(): {pod.Name, hog.Name}}},
		{versions.Filter{Except: a.ID()}, map[string][]string{b.ID(): {done.Name}, empty.ID(): {}}},
		{versions.Filter{RunUUID: "run-ab", ScenarioType: "hog_scenarios"}, map[string][]string{}},
	} {
		got := map[string][]string{}
		for _, info := range list(t, s, test.filter) {
			got[info.ID] = names(info.Files)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", test.filter, diff)
		}
	}
}

func vanish(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	f := flush(t, e, "pod", "x")
	if _, err := e.MarkInFlight(versions.Mark{Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if err := e.Remove(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := e.Remove(t.Context(), f); err != nil {
		t.Errorf("remove again: %v", err)
	}
	if _, err := s.Read(t.Context(), f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("read of a removed file: got %v, want fs.ErrNotExist", err)
	}
	closeNow(t, e)
	if got := list(t, s, versions.Filter{}); len(got) != 0 {
		t.Errorf("got %v, want nothing left of a success", got)
	}
	if _, err := s.Open(t.Context(), e.ID()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: got %v, want fs.ErrNotExist", err)
	}
}
