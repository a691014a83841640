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
	suspect    bool
}

// chains groups executions whose pending files share a ref. Chains with a file that
// took a process down go last: the next one it takes down has undone the others by then.
func (r *Runner) chains(ctx context.Context, executions []versions.ExecutionInfo) []*chain {
	var chains []*chain
	suspects := r.suspects(ctx, executions)
	for _, x := range executions {
		own := &chain{executions: []versions.ExecutionInfo{x}, refs: map[builtins.Ref]bool{}}
		pending := false
		for _, f := range x.Files {
			if !f.Replayable() {
				continue
			}
			pending = true
			if suspects[suspect{f.Execution, f.Name}] {
				own.suspect = true
				r.Log.Warn(fmt.Sprintf("a process ended while it replayed %s: it goes last", f.Location))
			}
			// A file that can't be loaded fails when its turn comes, and says so then.
			if content, err := r.Store.Read(ctx, f); err == nil {
				if file, err := r.load(ctx, f.Location, content); err == nil {
					for _, ref := range file.Undoes {
						own.refs[ref] = true
					}
				}
			}
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
		switch {
		case a.suspect == b.suspect:
			return cmp.Compare(b.executions[0].Timestamp, a.executions[0].Timestamp)
		case a.suspect:
			return 1
		}
		return -1
	})
	return chains
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
	c.suspect = c.suspect || other.suspect
	for ref := range other.refs {
		c.refs[ref] = true
	}
}

// suspect names a version file.
type suspect struct{ execution, file string }

// suspects returns the files whose last attempt has no outcome in the journal: the
// process was killed, or the file itself ended it.
func (r *Runner) suspects(ctx context.Context, executions []versions.ExecutionInfo) map[suspect]bool {
	found := map[suspect]bool{}
	if !slices.ContainsFunc(executions, func(x versions.ExecutionInfo) bool { return slices.ContainsFunc(x.Files, versions.File.Replayable) }) {
		return found
	}
	for entry, err := range r.Store.Journal(ctx, versions.Filter{}) {
		if err != nil {
			continue // a torn line is what a crash leaves; history says so when asked
		}
		switch entry.Event {
		case versions.EventAttempt:
			found[suspect{entry.Execution, entry.File}] = true
		case versions.EventOutcome:
			delete(found, suspect{entry.Execution, entry.File})
		}
	}
	return found
}
