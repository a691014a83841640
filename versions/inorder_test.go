package versions

import (
	"slices"
	"sync/atomic"
	"testing"
)

// However many goroutines are at work, the order is that of the entries, and nobody works far ahead
// of what is wanted.
func TestInOrder(t *testing.T) {
	entries := make([]int, 200_000)
	for i := range entries {
		entries[i] = i
	}
	var looked atomic.Int64
	worker := func() func(int) []int {
		return func(i int) []int {
			looked.Add(1)
			if i%3 == 0 {
				return nil
			}
			return []int{i}
		}
	}
	want := slices.DeleteFunc(slices.Clone(entries), func(i int) bool { return i%3 == 0 })
	if got := slices.Collect(inOrder(t.Context(), entries, worker)); !slices.Equal(got, want) {
		t.Errorf("got %d results, want %d in order", len(got), len(want))
	}
	looked.Store(0)
	for i := range inOrder(t.Context(), entries, worker) {
		if i != 1 {
			t.Errorf("got %d first, want 1", i)
		}
		break
	}
	if n := looked.Load(); n == 0 || n == int64(len(entries)) {
		t.Errorf("looked at %d of %d entries for the first", n, len(entries))
	}
	for range inOrder(t.Context(), nil, worker) {
		t.Error("got a result of nothing")
	}
}
