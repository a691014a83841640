// Package storetest is the test suite of every [versions.Store].
//
// Use [Run] first and only, with a function that makes an empty store. Avoid testing a store's own
// promises (a disk, a lock between processes) here. Promised: a store that passes can replace
// another one under the runner.
package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/ebb-chaos/ebb/versions"
)

const run = "168dce4c-fdb4-4e8c-aa5b-7f919777801b"

// Run tests the stores that newStore makes.
func Run(t *testing.T, newStore func(t *testing.T) versions.Store) {
	RunSize(t, Size{Files: 1000, Opens: 100}, newStore)
}

// Size says how often the suite repeats some steps.
type Size struct {
	Files int // in one execution
	Opens int // of one execution, while others look at it
}

// RunSize is [Run] for stores that have other tests for what many files cost.
func RunSize(t *testing.T, size Size, newStore func(t *testing.T) versions.Store) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s versions.Store)
	}{
		{"life", life},
		{"thousand", func(t *testing.T, s versions.Store) { thousand(t, s, size.Files) }},
		{"parallel", parallel},
		{"executions are ordered", ordered},
		{"filter", filter},
		{"executions one by one", executions},
		{"lock", lock},
		{"busy", busy},
		{"looking keeps nobody out", func(t *testing.T, s versions.Store) { looking(t, s, size.Opens) }},
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
