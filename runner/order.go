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
	unread     [][]byte // files whose refs are not known
	cluster    bool     // not all that its files undo is known to be in a cloud
	suspect    bool
}

// order groups executions whose pending files share a ref. First come those that
// need no Kubernetes API, which may be away just because they were not undone yet: their
// machines are its control plane. Last come those with a file that took a process down.
func (p *replayer) order(ctx context.Context, executions []versions.ExecutionInfo) []*chain {
	var chains []*chain
	for _, x := range executions {
		own := &chain{executions: []versions.ExecutionInfo{x}, refs: map[builtins.Ref]bool{}}
		pending := false
		for _, f := range x.Files {
			if !f.Replayable() {
				continue
			}
			pending = true
			if p.journaled.suspects[f.Key()] && !p.settled(f) {
				own.suspect = true
				p.options.Log.Warn(fmt.Sprintf("a process ended while it replayed %s: it goes last", f.Location))
			}
			p.add(ctx, own, f)
		}
		if !pending && len(x.Problems) == 0 {
			continue
		}
		// own takes in every chain that it shares a ref with.
		chains = slices.DeleteFunc(chains, func(c *chain) bool {
			shared := c.shares(own) || own.shares(c)
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

// add takes in what a file undoes. One that can't be loaded fails when its turn comes, and
// says so then; until then it may be about whatever it mentions.
func (p *replayer) add(ctx context.Context, c *chain, f versions.File) {
	content, err := p.store.Read(ctx, f)
	if err != nil {
		c.cluster = true
		return
	}
	var refs []builtins.Ref
	if p.Lost[f.Key()] != nil {
		err = p.Lost[f.Key()]
	} else {
		var version builtins.Version
		version, err = p.header(ctx, f, content)
		refs = version.Undoes
	}
	if err != nil {
		c.unread = append(c.unread, content)
	}
	for _, ref := range refs {
		c.refs[ref] = true
	}
	c.cluster = c.cluster || len(refs) == 0 || slices.ContainsFunc(refs, builtins.Ref.InCluster)
}

// shares reports whether c undoes something that other does, as far as is known.
func (c *chain) shares(other *chain) bool {
	for ref := range other.refs {
		if c.refs[ref] || slices.ContainsFunc(c.unread, func(content []byte) bool { return mentions(content, ref) }) {
			return true
		}
	}
	return false
}

func (c *chain) take(other *chain) {
	c.executions = append(c.executions, other.executions...)
	c.unread = append(c.unread, other.unread...)
	c.suspect, c.cluster = c.suspect || other.suspect, c.cluster || other.cluster
	for ref := range other.refs {
		c.refs[ref] = true
	}
}
