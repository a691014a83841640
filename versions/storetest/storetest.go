// Package storetest is the test suite of every [versions.Store].
//
// Use [Run] first and only, with a function that makes an empty store. Avoid testing a store's own
// promises (a disk, a lock between processes) here. Promised: a store that passes can replace
// another one under the runner.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/versions"
)

const run = "168dce4c-fdb4-4e8c-aa5b-7f919777801b"

// Run tests the stores that newStore makes.
func Run(t *testing.T, newStore func(t *testing.T) versions.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s versions.Store)
	}{
		{"life", life},
		{"thousand", thousand},
		{"parallel", parallel},
		{"executions are ordered", ordered},
		{"filter", filter},
		{"lock", lock},
		{"busy", busy},
		{"looking keeps nobody out", looking},
		{"empty executions vanish", vanish},
		{"executed twice", executedTwice},
		{"replace", replace},
		{"remove own only", removeOwn},
		{"probe", probe},
		{"bad arguments", badArguments},
		{"cancelled", cancelled},
		{"closed", closed},
		{"in flight", inFlight},
		{"journal", journal},
		{"cleanup", cleanup},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newStore(t)) })
	}
}

func begin(t *testing.T, s versions.Store, uuid string) versions.Execution {
	t.Helper()
	e, err := s.Begin(t.Context(), uuid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func flush(t *testing.T, e versions.Execution, scenarioType, content string) versions.File {
	t.Helper()
	f, err := e.Flush(t.Context(), scenarioType, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func list(t *testing.T, s versions.Store, f versions.Filter) []versions.ExecutionInfo {
	t.Helper()
	listing, err := s.List(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if len(listing.Problems) > 0 {
		t.Errorf("got problems %v, want none", listing.Problems)
	}
	for _, info := range listing.Executions {
		if len(info.Problems) > 0 {
			t.Errorf("execution %q: got problems %v, want none", info.ID, info.Problems)
		}
	}
	return listing.Executions
}

func files(t *testing.T, e versions.Execution) []versions.File {
	t.Helper()
	files, err := e.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func names(files []versions.File) []string {
	names := []string{}
	for _, f := range files {
		names = append(names, f.Name)
	}
	return names
}

func closeNow(t *testing.T, e versions.Execution) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func life(t *testing.T, s versions.Store) {
	if got := list(t, s, versions.Filter{}); len(got) != 0 {
		t.Fatalf("new store: got %v, want nothing", got)
	}
	e := begin(t, s, run)
	if e.RunUUID() != run {
		t.Errorf("got run %q, want %q", e.RunUUID(), run)
	}
	if _, took := e.TookOver(); took {
		t.Error("a new execution took over from somebody")
	}
	older := flush(t, e, "hog_scenarios", "older")
	newer := flush(t, e, "hog_scenarios", "newer")
	if older.State != versions.Pending || older.Kind != versions.KindVersion || older.Execution != e.ID() || older.Size != 5 || !older.Replayable() {
		t.Errorf("got %+v, want a pending version file of 5 bytes in %q", older, e.ID())
	}
	if got, want := names(files(t, e)), []string{newer.Name, older.Name}; !slices.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
	}
	for _, read := range []func(context.Context, versions.File) ([]byte, error){e.Read, s.Read} {
		if got, err := read(t.Context(), older); err != nil || string(got) != "older" {
			t.Errorf("got %q, %v, want %q", got, err, "older")
		}
	}
	done, err := e.MarkExecuted(t.Context(), newer)
	if err != nil {
		t.Fatal(err)
	}
	if done.Name != newer.Name+".executed" || done.State != versions.Executed || done.Timestamp != newer.Timestamp || done.Replayable() {
		t.Errorf("got %+v, want %q executed", done, newer.Name)
	}
	if got, err := s.Read(t.Context(), done); err != nil || string(got) != "newer" {
		t.Errorf("got %q, %v, want %q", got, err, "newer")
	}
	closeNow(t, e)
	listed := list(t, s, versions.Filter{})
	if len(listed) != 1 || listed[0].ID != e.ID() || listed[0].RunUUID != run || !slices.Equal(names(listed[0].Files), []string{done.Name, older.Name}) {
		t.Errorf("got %+v, want %q with %q and %q", listed, e.ID(), done.Name, older.Name)
	}
}

// A thousand callables in one execution leave a thousand files, newest first.
func thousand(t *testing.T, s versions.Store) {
	const n = 1000
	e := begin(t, s, run)
	want := make([]string, n)
	for i := range n {
		want[n-1-i] = flush(t, e, "hog_scenarios", fmt.Sprint(i)).Name
	}
	got := files(t, e)
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Fatalf("newest first (-want +got):\n%s", diff)
	}
	for i := 1; i < n; i++ {
		if got[i-1].Timestamp <= got[i].Timestamp {
			t.Fatalf("timestamps %d and %d don't decrease strictly", got[i-1].Timestamp, got[i].Timestamp)
		}
	}
	if content, err := e.Read(t.Context(), got[0]); err != nil || string(content) != fmt.Sprint(n-1) {
		t.Errorf("newest: got %q, %v, want %d", content, err, n-1)
	}
}

func parallel(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	const workers, each = 8, 25
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			var last int64
			for range each {
				f, err := e.Flush(t.Context(), "pod", []byte("x"))
				if err != nil {
					t.Error(err)
					return
				}
				if f.Timestamp <= last {
					t.Errorf("got timestamp %d after %d", f.Timestamp, last)
				}
				last = f.Timestamp
			}
		})
	}
	group.Wait()
	stamps := map[int64]bool{}
	for _, f := range files(t, e) {
		stamps[f.Timestamp] = true
	}
	if len(stamps) != workers*each {
		t.Errorf("got %d different timestamps, want %d", len(stamps), workers*each)
	}
}

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

func lock(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	flush(t, e, "pod", "x")
	var locked *versions.LockedError
	if _, err := s.Open(t.Context(), e.ID()); !errors.As(err, &locked) {
		t.Fatalf("open of a live execution: got %v, want a *LockedError", err)
	}
	if locked.Execution != e.ID() || locked.Holder.PID == 0 || locked.Holder.Host == "" || locked.Holder.Since.IsZero() {
		t.Errorf("got %+v, want the holder", locked)
	}
	list(t, s, versions.Filter{}) // takes no lock
	closeNow(t, e)

	// Of many that try, one gets it.
	const n = 8
	opened := make(chan versions.Execution, n)
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			e, err := s.Open(t.Context(), e.ID())
			if err == nil {
				opened <- e
			} else if !errors.As(err, new(*versions.LockedError)) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	close(opened)
	if len(opened) != 1 {
		t.Errorf("got %d holders, want 1", len(opened))
	}
	for again := range opened {
		if _, took := again.TookOver(); took {
			t.Error("took over from a holder that had closed")
		}
		closeNow(t, again)
	}
	_, err := s.Open(t.Context(), "1-"+run)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: got %v, want fs.ErrNotExist", err)
	}
}

// Whether an execution is in use can be asked, and the question changes nothing.
func busy(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	flush(t, e, "pod", "x")
	var locked *versions.LockedError
	if err := s.Busy(t.Context(), e.ID()); !errors.As(err, &locked) || locked.Execution != e.ID() || locked.Holder.PID == 0 || locked.Location == "" {
		t.Errorf("a live execution: got %v, want a *LockedError with its holder", err)
	}
	closeNow(t, e)
	for range 2 {
		if err := s.Busy(t.Context(), e.ID()); err != nil {
			t.Errorf("a closed execution: got %v, want nil", err)
		}
	}
	again, err := s.Open(t.Context(), e.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, took := again.TookOver(); took {
		t.Error("took over from somebody who only asked")
	}
	if err := s.Busy(t.Context(), e.ID()); !errors.As(err, new(*versions.LockedError)) {
		t.Errorf("an execution that was opened again: got %v, want a *LockedError", err)
	}
	closeNow(t, again)
	if err := s.Busy(t.Context(), "1-"+run); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: got %v, want fs.ErrNotExist", err)
	}
}

// Somebody who only looks, as often as he can, never makes an Open or a Begin fail.
func looking(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	flush(t, e, "pod", "x")
	closeNow(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for ctx.Err() == nil {
				err := s.Busy(ctx, e.ID())
				if err != nil && !errors.As(err, new(*versions.LockedError)) && !errors.Is(err, context.Canceled) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 100 {
		again, err := s.Open(t.Context(), e.ID())
		if err != nil {
			t.Error(err)
			break
		}
		closeNow(t, again)
	}
	cancel()
	group.Wait()
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

func executedTwice(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	f := flush(t, e, "pod", "x")
	done, err := e.MarkExecuted(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.MarkExecuted(t.Context(), f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("again: got %v, want fs.ErrNotExist", err)
	}
	if _, err := e.MarkExecuted(t.Context(), done); err == nil {
		t.Error("an executed file was executed")
	}
	if got := names(files(t, e)); !slices.Equal(got, []string{done.Name}) {
		t.Errorf("got %q, want %q", got, done.Name)
	}
}

func replace(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	f := flush(t, e, "pod", "before")
	edited, err := e.Replace(t.Context(), f, []byte("after it"))
	if err != nil {
		t.Fatal(err)
	}
	if edited.Name != f.Name || edited.Size != 8 {
		t.Errorf("got %+v, want %q with 8 bytes", edited, f.Name)
	}
	if got, err := e.Read(t.Context(), f); err != nil || string(got) != "after it" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := e.Replace(t.Context(), f, nil); err == nil {
		t.Error("replaced by nothing")
	}
	done, err := e.MarkExecuted(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Replace(t.Context(), done, []byte("x")); err == nil {
		t.Error("replaced an executed file")
	}
	if _, err := e.Replace(t.Context(), f, []byte("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("replaced a file that is gone: %v", err)
	}
}

func removeOwn(t *testing.T, s versions.Store) {
	a, b := begin(t, s, run), begin(t, s, run)
	f := flush(t, a, "pod", "of a")
	mine := flush(t, b, "pod", "of b")
	if err := b.Remove(t.Context(), mine, f); err == nil {
		t.Error("removed another execution's file")
	}
	if _, err := b.MarkExecuted(t.Context(), f); err == nil {
		t.Error("marked another execution's file")
	}
	if _, err := b.Read(t.Context(), f); err == nil {
		t.Error("read another execution's file")
	}
	if got := names(files(t, a)); !slices.Equal(got, []string{f.Name}) {
		t.Errorf("a: got %q, want %q", got, f.Name)
	}
	if got := names(files(t, b)); !slices.Equal(got, []string{mine.Name}) {
		t.Errorf("b: got %q, want %q: nothing is removed when one can't be", got, mine.Name)
	}
}

func probe(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	f := flush(t, e, "pod", "x")
	for range 2 {
		if err := e.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(files(t, e)); !slices.Equal(got, []string{f.Name}) {
		t.Errorf("got %q, want only %q: a probe leaves nothing", got, f.Name)
	}
	list(t, s, versions.Filter{}) // no problems either
	if err := e.Remove(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	closeNow(t, e)
	if got := list(t, s, versions.Filter{}); len(got) != 0 {
		t.Errorf("got %v, want nothing left", got)
	}
}

func badArguments(t *testing.T, s versions.Store) {
	for _, uuid := range []string{"", "-a", "a-", "a/b", "..", "a b", "a\n", strings.Repeat("a", 64), "ü"} {
		if _, err := s.Begin(t.Context(), uuid); err == nil {
			t.Errorf("run uuid %q: got no error", uuid)
		}
	}
	for _, id := range []string{"", "..", "x-" + run, "01-" + run, "1", "1-../" + run, "-1-" + run, "+1-" + run} {
		if _, err := s.Open(t.Context(), id); err == nil {
			t.Errorf("execution %q: got no error", id)
		}
		if err := s.Busy(t.Context(), id); err == nil {
			t.Errorf("execution %q: got no error", id)
		}
	}
	if got := list(t, s, versions.Filter{}); len(got) != 0 {
		t.Errorf("got %v, want nothing made", got)
	}
	e := begin(t, s, strings.Repeat("a", 63))
	for _, scenarioType := range []string{"", "..", "a/b", "_a", ".a", "-a", "a b", "a.star", strings.Repeat("a", 129)} {
		if _, err := e.Flush(t.Context(), scenarioType, []byte("x")); err == nil {
			t.Errorf("scenario type %q: got no error", scenarioType)
		}
	}
	for _, content := range [][]byte{nil, bytes.Repeat([]byte("x"), versions.MaxFileSize+1)} {
		if _, err := e.Flush(t.Context(), "pod", content); err == nil {
			t.Errorf("content of %d bytes: got no error", len(content))
		}
	}
	flush(t, e, strings.Repeat("a", 128), strings.Repeat("x", versions.MaxFileSize))
	if got := files(t, e); len(got) != 1 {
		t.Errorf("got %d files, want 1", len(got))
	}
	if _, err := e.Read(t.Context(), versions.File{Execution: e.ID(), Name: "../../etc/passwd"}); err == nil {
		t.Error("read a path")
	}
}

func cancelled(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	f := flush(t, e, "pod", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Begin":        func() error { _, err := s.Begin(ctx, run); return err },
		"Open":         func() error { _, err := s.Open(ctx, e.ID()); return err },
		"Busy":         func() error { return s.Busy(ctx, e.ID()) },
		"List":         func() error { _, err := s.List(ctx, versions.Filter{}); return err },
		"Append":       func() error { return s.Append(ctx, versions.Entry{Event: versions.EventFlushed}) },
		"Flush":        func() error { _, err := e.Flush(ctx, "pod", []byte("x")); return err },
		"MarkExecuted": func() error { _, err := e.MarkExecuted(ctx, f); return err },
		"Probe":        func() error { return e.Probe(ctx) },
		"Replace":      func() error { _, err := e.Replace(ctx, f, []byte("y")); return err },
		"Remove":       func() error { return e.Remove(ctx, f) },
		"Files":        func() error { _, err := e.Files(ctx); return err },
		"Read":         func() error { _, err := e.Read(ctx, f); return err },
		"InFlight":     func() error { _, err := e.InFlight(ctx); return err },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
	if got := files(t, e); !slices.Equal(names(got), []string{f.Name}) {
		t.Errorf("got %q, want nothing changed", names(got))
	}
}

func closed(t *testing.T, s versions.Store) {
	e := begin(t, s, run)
	f := flush(t, e, "pod", "x")
	unmark, err := e.MarkInFlight(versions.Mark{})
	if err != nil {
		t.Fatal(err)
	}
	closeNow(t, e)
	if err := e.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
	for name, call := range map[string]func() error{
		"Flush":        func() error { _, err := e.Flush(t.Context(), "pod", []byte("x")); return err },
		"MarkExecuted": func() error { _, err := e.MarkExecuted(t.Context(), f); return err },
		"Probe":        func() error { return e.Probe(t.Context()) },
		"Remove":       func() error { return e.Remove(t.Context(), f) },
		"MarkInFlight": func() error { _, err := e.MarkInFlight(versions.Mark{}); return err },
		"unmark":       unmark,
	} {
		if err := call(); !errors.Is(err, versions.ErrClosed) {
			t.Errorf("%s: got %v, want ErrClosed", name, err)
		}
	}
}

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

	// A request that may still land is not forgotten; one that can't is.
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
	if removed, err := versions.Cleanup(t.Context(), s, month, time.Now()); err != nil || len(removed) != 0 {
		t.Errorf("too early: got %v, %v, want nothing", removed, err)
	}
	removed, err := versions.Cleanup(t.Context(), s, month, time.Now().Add(2*month))
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
