package runner

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// chain is a list of executions that are undone one after the other, newest first. Chains are
// independent, except that one may have to wait for others.
type chain struct {
	executions []versions.ExecutionInfo
	refs       []builtins.Ref // of its first execution
	unread     [][]byte       // contents of that execution's files whose refs are not known
	into       *chain         // the chain that it was merged into
	cluster    bool           // its files may need the cluster
	suspect    bool

	waits  []*chain      // chains to wait for: each has a newer undo of the same object
	begun  bool          // see schedule
	turn   int           // likewise
	ended  chan struct{} // closed at its end
	failed *Result       // result that was not undone; blocks the chains that wait; read it after ended
}

// ordering groups executions into chains, one portion at a time. Executions that share a ref are in
// one chain. A chain waits for a chain of an earlier portion that shares a ref with it. Portions go
// from the newest executions to the oldest.
type ordering struct {
	before map[builtins.Ref]*chain // of earlier portions: the last chain that undoes the ref
	unread []*chain                // of earlier portions: chains with files whose refs are not known
}

// chains merges chains of one execution each. In the result, chains that need no Kubernetes API
// come first, because their machines may be its control plane. Chains with a file that ended a
// process come last.
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

// forget drops chains that nobody needs to wait for any more.
func (o *ordering) forget() {
	maps.DeleteFunc(o.before, func(_ builtins.Ref, c *chain) bool { return c.undone() })
	o.unread = slices.DeleteFunc(o.unread, func(c *chain) bool { return c.root().undone() })
}

// wait waits for the chains that must end before c, and returns the result that blocks it.
func (c *chain) wait() {
	for _, earlier := range c.waits {
		<-earlier.ended
		if c.failed == nil {
			c.failed = earlier.failed
		}
	}
}

// undone reports whether a chain has ended without a failure.
func (c *chain) undone() bool {
	select {
	case <-c.ended:
		return c.failed == nil
	default:
		return false
	}
}

// waitFor makes c wait for another chain; nil means none. If the other chain goes last, c does,
// too.
func (c *chain) waitFor(other *chain) {
	if other != nil && !slices.Contains(c.waits, other) {
		c.waits = append(c.waits, other)
		c.suspect = c.suspect || other.suspect
	}
}

// grouping merges chains. It reads each ref of an execution once, however many chains there are.
type grouping struct {
	all    []*chain                // in the order of joining, with merged ones
	of     map[builtins.Ref]*chain // a chain that undoes the ref; its root is the present chain
	unread []*chain                // in the order of joining: chains with files whose refs are not known
}

// join adds a chain, and merges into it every chain that may share a ref with it.
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

// chains returns the chains that were not merged into another one.
func (g *grouping) chains() []*chain {
	return slices.DeleteFunc(g.all, func(c *chain) bool { return c.into != nil })
}

// later compares whether two chains go last.
func later(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// head is what one file undoes, and for which run.
type head struct {
	refs   []builtins.Ref
	unread []byte // the content of one whose refs are not known
}

// headOf reads the header of a file. If the file can't be loaded, its replay reports that. Until
// then, it may undo anything whose name it contains.
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

// add adds the refs of a file.
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

// root returns the chain that c was merged into, or c.
func (c *chain) root() *chain {
	for c.into != nil {
		if c.into.into != nil {
			c.into = c.into.into // halves the path for the next call
		}
		c = c.into
	}
	return c
}

// take merges another chain into c.
func (c *chain) take(other *chain) {
	if other == c {
		return
	}
	other.into = c
	c.executions = append(c.executions, other.executions...)
	other.executions = nil
	c.suspect, c.cluster = c.suspect || other.suspect, c.cluster || other.cluster
}
