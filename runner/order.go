package runner

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// chain is executions that are undone one after the other, newest first. Chains
// are independent of each other, but for those that one waits for.
type chain struct {
	executions []versions.ExecutionInfo
	refs       []builtins.Ref // of the execution that it was made for
	unread     [][]byte       // that execution's files whose refs are not known
	into       *chain         // the one that took it in
	cluster    bool           // not all that its files undo is known to be in a cloud
	suspect    bool

	waits  []*chain      // read before it: each has something newer to undo that this one undoes, too
	begun  bool          // see schedule
	turn   int           // likewise
	ended  chan struct{} // closed at its end
	failed *Result       // not undone, so that whatever waits for it is blocked; for reading after ended
}

// ordering makes chains of executions, of so many at a time: those that share a ref are one chain,
// and a chain waits for one of an earlier call that it shares a ref with. Calls go from the newest
// executions to the oldest.
type ordering struct {
	before map[builtins.Ref]*chain // of earlier calls: the last chain that undoes it
	unread []*chain                // likewise, of those with files whose refs are not known
}

// chains groups executions, each a chain of its own so far. First come those that need no
// Kubernetes API, which may be away just because they were not undone yet: their machines are its
// control plane. Last come those with a file that took a process down.
func (o *ordering) chains(made []*chain) []*chain {
	o.forget()
	g := grouping{of: map[builtins.Ref]*chain{}}
	for _, own := range made {
		g.join(own)
	}
	for _, own := range made {
		for _, ref := range own.refs {
			own.root().waitFor(o.before[ref])
			for _, other := range o.unread {
				if other.mentions(ref) {
					own.root().waitFor(other.root())
				}
			}
		}
		if len(own.unread) > 0 {
			for ref, other := range o.before {
				if own.mentions(ref) {
					own.root().waitFor(other)
				}
			}
		}
	}
	if o.before == nil {
		o.before = map[builtins.Ref]*chain{}
	}
	for _, own := range made {
		for _, ref := range own.refs {
			o.before[ref] = own.root()
		}
		if len(own.unread) > 0 {
			o.unread = append(o.unread, own)
		}
	}
	chains := g.chains()
	for _, c := range chains {
		c.ended = make(chan struct{})
		slices.SortFunc(c.executions, func(a, b versions.ExecutionInfo) int { return cmp.Compare(b.Timestamp, a.Timestamp) })
	}
	slices.SortStableFunc(chains, func(a, b *chain) int {
		return cmp.Or(later(a.suspect, b.suspect), later(a.cluster, b.cluster), cmp.Compare(b.executions[0].Timestamp, a.executions[0].Timestamp))
	})
	return chains
}

// forget leaves out chains that nobody has to wait for any more.
func (o *ordering) forget() {
	maps.DeleteFunc(o.before, func(_ builtins.Ref, c *chain) bool { return c.undone() })
	o.unread = slices.DeleteFunc(o.unread, func(c *chain) bool { return c.root().undone() })
}

// wait waits for what has to end before c, and takes over what blocks it.
func (c *chain) wait() {
	for _, earlier := range c.waits {
		<-earlier.ended
		if c.failed == nil {
			c.failed = earlier.failed
		}
	}
}

// undone reports whether a chain has ended well.
func (c *chain) undone() bool {
	select {
	case <-c.ended:
		return c.failed == nil
	default:
		return false
	}
}

// waitFor has c begin after another chain of which it has something to undo, nil for none. What
// waits for one that goes last goes last.
func (c *chain) waitFor(other *chain) {
	if other != nil && !slices.Contains(c.waits, other) {
		c.waits = append(c.waits, other)
		c.suspect = c.suspect || other.suspect
	}
}

// grouping finds the chains that executions belong to. It takes one look at each ref of an
// execution, however many chains there are.
type grouping struct {
	all    []*chain                // as they were joined, with those that another one took in
	of     map[builtins.Ref]*chain // a chain that undoes it; its root is the chain of today
	unread []*chain                // as they were joined, of those with files whose refs are not known
}

// join adds a chain. It takes in every chain that it shares a ref with, as far as is known.
func (g *grouping) join(own *chain) {
	refs := own.refs
	for _, ref := range refs {
		if other := g.of[ref]; other != nil {
			own.take(other.root())
		}
		for _, other := range g.unread {
			if other.mentions(ref) {
				own.take(other.root())
			}
		}
	}
	if len(own.unread) > 0 {
		for ref, other := range g.of {
			if own.mentions(ref) {
				own.take(other.root())
			}
		}
		g.unread = append(g.unread, own)
	}
	for _, ref := range refs {
		g.of[ref] = own
	}
	g.all = append(g.all, own)
}

// chains returns those that no other one took in.
func (g *grouping) chains() []*chain {
	return slices.DeleteFunc(g.all, func(c *chain) bool { return c.into != nil })
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

// head is what one file undoes.
type head struct {
	refs   []builtins.Ref
	unread []byte // the content of one whose refs are not known
}

// headOf reads what a file undoes. One that can't be loaded fails when its turn comes, and
// says so then; until then it may be about whatever it mentions.
func (p *replayer) headOf(ctx context.Context, f versions.File, content []byte, err error) head {
	if err != nil {
		return head{}
	}
	if p.Lost[f.Key()] != nil {
		return head{unread: content}
	}
	version, err := p.header(ctx, f, content)
	if err != nil {
		return head{unread: content}
	}
	return head{refs: version.Undoes}
}

// add takes in what a file undoes.
func (c *chain) add(h head) {
	if h.unread != nil {
		c.unread = append(c.unread, h.unread)
	}
	c.refs = append(c.refs, h.refs...)
	c.cluster = c.cluster || len(h.refs) == 0 || slices.ContainsFunc(h.refs, builtins.Ref.InCluster)
}

// mentions reports whether a file whose refs are not known may undo ref.
func (c *chain) mentions(ref builtins.Ref) bool {
	return slices.ContainsFunc(c.unread, func(content []byte) bool { return mentions(content, ref) })
}

// root is the chain that took c in, or c.
func (c *chain) root() *chain {
	for c.into != nil {
		if c.into.into != nil {
			c.into = c.into.into // the way is half as long the next time
		}
		c = c.into
	}
	return c
}

// take adds the executions of another chain, unless it is c itself.
func (c *chain) take(other *chain) {
	if other == c {
		return
	}
	other.into = c
	c.executions = append(c.executions, other.executions...)
	other.executions = nil
	c.suspect, c.cluster = c.suspect || other.suspect, c.cluster || other.cluster
}
