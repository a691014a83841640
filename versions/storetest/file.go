package storetest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ebb-chaos/ebb/versions"
)

// An execution with a thousand files lists them newest first.
func thousand(t *testing.T, s versions.Store, n int) {
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
	if _, err := s.Original(t.Context(), f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("original before the first change: got %v, want none", err)
	}
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
	if _, err := e.Replace(t.Context(), f, []byte("once more")); err != nil {
		t.Fatal(err)
	}
	done, err := e.MarkExecuted(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Original(t.Context(), done); err != nil || string(got) != "before" {
		t.Errorf("original: got %q, %v, want what was flushed", got, err)
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
