package lazyregexp

import (
	"slices"
	"sync"
	"testing"
)

func TestRegexp(t *testing.T) {
	r := New(`b(c*)`)
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			if got := r.FindStringSubmatch("abccd"); !slices.Equal(got, []string{"bcc", "cc"}) {
				t.Errorf("got %q", got)
			}
		})
	}
	work.Wait()
}

// In a test binary, a mistake shows as soon as the package is there.
func TestMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a mistake in a regular expression was not found")
		}
	}()
	New(`(`)
}
