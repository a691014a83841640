package runner

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// chain is executions that are undone one after the other, newest first. Chains
// are independent of each other.
type chain struct {
	executions []versions.ExecutionInfo
	refs       map[builtins.Ref]bool
	cluster    bool // not all that its files undo is known to be in a cloud
	suspect    bool
}

// chains groups executions whose pending files share a ref. First come those that
// need no Kubernetes API, which may be away just because they were not undone yet: their
// machines are its control plane. Last come those with a file that took a process down.
func (r *Runner) chains(ctx context.Context, executions []versions.ExecutionInfo, u undoing) []*chain {
	var chains []*chain
	for _, x := range executions {
		own := &chain{executions: []versions.ExecutionInfo{x}, refs: map[builtins.Ref]bool{}}
		pending := false
		for _, f := range x.Files {
			if !f.Replayable() {
				continue
			}
			pending = true
			if u.past.suspects[keyOf(f)] && !u.settled(f) {
				own.suspect = true
				r.Log.Warn(fmt.Sprintf("a process ended while it replayed %s: it goes last", f.Location))
			}
			own.add(r.undoes(ctx, f, u))
		}
		if !pending && len(x.Problems) == 0 {
			continue
		}
		// own takes in every chain that it shares a ref with.
		chains = slices.DeleteFunc(chains, func(c *chain) bool {
			shared := c.shares(own.refs)
			if shared {
				own.take(c)
			}
			return shared
		})
		chains = append(chains, own)
	}
	for _, c := range chains {
		slices.SortFunc(c.executions, func(a, b versions.ExecutionInfo) int { return cmp.Compare(b.Timestamp, a.Timestamp) })
	}
	slices.SortStableFunc(chains, func(a, b *chain) int {
		return cmp.Or(later(a.suspect, b.suspect), later(a.cluster, b.cluster), cmp.Compare(b.executions[0].Timestamp, a.executions[0].Timestamp))
	})
	return chains
}

// later compares two answers to the question whether something goes last.
func later(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// undoes returns the refs of a file, none for one that can't be loaded: it fails when
// its turn comes, and says so then.
func (r *Runner) undoes(ctx context.Context, f versions.File, u undoing) []builtins.Ref {
	if u.settled(f) {
		return nil
	}
	content, err := r.Store.Read(ctx, f)
	if err != nil {
		return nil
	}
	defer r.watch(f)()
	file, err := r.load(ctx, f.Location, content)
	if err != nil {
		return nil
	}
	return file.Undoes
}

// add takes in what a file undoes.
func (c *chain) add(refs []builtins.Ref) {
	for _, ref := range refs {
		c.refs[ref] = true
	}
	c.cluster = c.cluster || len(refs) == 0 || slices.ContainsFunc(refs, builtins.Ref.InCluster)
}

func (c *chain) shares(refs map[builtins.Ref]bool) bool {
	for ref := range refs {
		if c.refs[ref] {
			return true
		}
	}
	return false
}

func (c *chain) take(other *chain) {
	c.executions = append(c.executions, other.executions...)
	c.suspect, c.cluster = c.suspect || other.suspect, c.cluster || other.cluster
	for ref := range other.refs {
		c.refs[ref] = true
	}
}
