package runner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
)

// touched records the objects that an undo read or changed in the cluster. An edited callable may
// look for another object, find nothing to do, and leave the object of its file as it is.
type touched struct {
	mu    sync.Mutex
	refs  map[builtins.Ref]bool
	lists map[builtins.Ref]bool // lists of a kind in a namespace; "" for all namespaces; the refs have no name
}

// observe records a call; it is a session's Observe.
func (t *touched) observe(c builtins.Call) {
	if !strings.HasPrefix(c.Name, "k8s.") {
		return
	}
	args := map[string]string{}
	for _, arg := range c.Args {
		args[arg.Name], _ = starlark.AsString(arg.Value)
	}
	ref := builtins.Ref{Kind: args["kind"], Name: args["name"], Namespace: args["namespace"]}
	if ref.Kind == "" && ref.Name != "" {
		ref.Kind = "Pod" // exec and logs
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refs == nil {
		t.refs, t.lists = map[builtins.Ref]bool{}, map[builtins.Ref]bool{}
	}
	if ref.Name == "" {
		t.lists[ref] = true
	} else {
		t.refs[ref] = true
	}
}

// missed returns the refs that were not read or changed, of those that are in the cluster.
func (t *touched) missed(undoes []builtins.Ref) []builtins.Ref {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(undoes), func(r builtins.Ref) bool {
		return !r.InCluster() || t.refs[r] ||
			t.lists[builtins.Ref{Kind: r.Kind, Namespace: r.Namespace}] || t.lists[builtins.Ref{Kind: r.Kind}]
	})
}

// checkTouched returns an error if an edited undo ignored the objects of its file: one that the run
// created still exists, or nothing was changed and none of them was read. The refs of the file are
// in its header, which may be edited as well, and in the journal, if there is one. A file that was
// not edited is trusted: it may name objects that another file of its execution restores.
func (p *replayer) checkTouched(ctx context.Context, seen *touched, file *versionFile, key string, changes int) error {
	undoes := slices.Clone(file.Undoes)
	for _, r := range p.journaled.undoes[key] {
		if !slices.Contains(undoes, r) {
			file.log.Warn(fmt.Sprintf("the edited header does not name %s any more, which the file was written for", r.Text()))
			undoes = append(undoes, r)
		}
	}
	if changes == 0 && len(file.Undoes) > 0 && p.journaled.flushed[key] == "" && file.purpose == "" && !p.TakeOver {
		return &builtins.ConflictError{Message: "there was nothing to undo, but the file was edited, and what it was written for is not known any more: the journal says nothing of it", Forcible: true}
	}
	missed := seen.missed(undoes)
	if len(missed) == 0 {
		return nil
	}
	file.log.Warn(fmt.Sprintf("the edited callable looked at nothing of %s, which the file is to undo", missed[0].Text()))
	ctx, cancel := withAllowance(ctx, p.options.FileTimeout, p.outside.waited)
	defer cancel()
	s := p.undoSession(builtins.Verify, file, nil)
	for _, r := range missed {
		left, err := s.Left(ctx, r)
		switch kind := KindOf(err); {
		case left:
			return fmt.Errorf("not all was restored: the edited callable looked at nothing of %s, which the file is to undo, and which is still there", r.Text())
		case err != nil && kind != KindForbidden && kind != KindScript:
			return fmt.Errorf("the edited callable looked at nothing of %s, which the file is to undo, and whether it is still there is not known: %w", r.Text(), err)
		}
	}
	if changes > 0 || len(missed) < len(undoes) {
		return nil
	}
	return fmt.Errorf("nothing was restored: the edited callable looked at nothing that its file is to undo, such as %s", missed[0].Text())
}
