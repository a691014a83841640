// Package suggest finds what a misspelt name was probably meant to be.
//
// Use [Nearest], for every "did you mean" that there is. Promised: the same mistake always gets
// the same advice, and the work for a name of a megabyte is small.
package suggest

import (
	"slices"
	"strings"
)

// Nearest returns the known name, other than name itself, that was probably meant by it, or "".
// Of equals it takes the first in the alphabet.
func Nearest(name string, known []string) string {
	best, least := "", 0
	for _, k := range slices.Sorted(slices.Values(known)) {
		if k == name {
			continue
		}
		a, b := plain(name), plain(k)
		// A third of the name may be wrong: more and any short name resembles any other. The cap
		// also bounds the work.
		limit := min(3, max(1, len(b)/3))
		if max(len(a)-len(b), len(b)-len(a)) > limit {
			continue
		}
		if d := edits(a, b); d <= limit && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// plain makes names alike that differ in what people confuse most.
func plain(s string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(s))
}

// edits counts the bytes to insert, delete, replace or swap with a neighbour to get from a to b.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			swap := 1
			if a[i-1] == b[j-1] {
				swap = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+swap)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
