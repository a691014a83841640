package schema

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Suggest returns the known name that was probably meant by a misspelt one, or "".
func Suggest(name string, known []string) string {
	// A fixed order, so that the same mistake always gets the same advice.
	known = slices.Sorted(slices.Values(known))
	best, least := "", 0
	for _, k := range known {
		a, b := plain(name), plain(k)
		// A third of the name may be wrong: more and any short name resembles any other. The cap also bounds the work on
		// keys of a megabyte.
		limit := min(3, max(1, len(b)/3))
		if abs(len(a)-len(b)) > limit {
			continue
		}
		if d := distance(a, b); d <= limit && (best == "" || d < least) {
			best, least = k, d
		}
	}
	return best
}

// plain makes keys alike that differ in what people confuse most.
func plain(s string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", " ", "").Replace(s))
}

// distance counts the bytes to insert, delete, replace or swap with a neighbour to get from a to b.
func distance(a, b string) int {
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

func abs(n int) int { return max(n, -n) }

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
