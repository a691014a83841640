package runner

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// TestGroupingJoinsWhatShares compares chains with the plain definition: two executions are in one
// chain if they share a ref, or a file of one that can't be read mentions a ref of the other, or if
// others join them.
func TestGroupingJoinsWhatShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"})
		var made []*chain
		for i := range rapid.IntRange(0, 9).Draw(t, "executions") {
			c := &chain{executions: []versions.ExecutionInfo{{ID: fmt.Sprint(i), Timestamp: int64(i)}}}
			for _, name := range rapid.SliceOfN(names, 0, 2).Draw(t, "refs") {
				c.refs = append(c.refs, builtins.Ref{Kind: "Pod", Name: name})
			}
			for _, name := range rapid.SliceOfN(names, 0, 1).Draw(t, "unread") {
				c.unread = append(c.unread, fmt.Appendf(nil, "pod = %q", name))
			}
			made = append(made, c)
		}
		component := components(made)
		g := grouping{of: map[builtins.Ref]*chain{}}
		for _, c := range made {
			g.join(c)
		}
		var got []int
		for _, c := range g.chains() {
			var ids []int64
			for _, x := range c.executions {
				ids = append(ids, x.Timestamp)
			}
			if len(ids) == 0 {
				t.Fatal("an empty chain")
			}
			for _, id := range ids {
				if component[id] != component[ids[0]] {
					t.Fatalf("%v are one chain, %d does not belong to it", ids, id)
				}
			}
			got = append(got, component[ids[0]])
		}
		slices.Sort(got)
		want := slices.Clone(component)
		slices.Sort(want)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Fatalf("got chains of %v, want one of each of %v", got, want)
		}
	})
}

// components gives each chain the number of the group that it belongs to.
func components(chains []*chain) []int {
	component := make([]int, len(chains))
	for i := range component {
		component[i] = i
	}
	share := func(a, b *chain) bool {
		return slices.ContainsFunc(a.refs, func(r builtins.Ref) bool { return slices.Contains(b.refs, r) || b.mentions(r) })
	}
	for i, a := range chains {
		for j, b := range chains {
			if i != j && (share(a, b) || share(b, a)) {
				from, to := component[i], component[j]
				for k := range component {
					if component[k] == from {
						component[k] = to
					}
				}
			}
		}
	}
	return component
}
