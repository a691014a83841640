package runner

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
)

// touched is what an undo looked at or changed in the cluster. A callable that was edited so that
// it looks elsewhere finds nothing left to do, and what its file is for stays as it is.
type touched struct {
	mu    sync.Mutex
	refs  map[builtins.Ref]bool
	lists map[builtins.Ref]bool // of a kind in a namespace, "" for all; without a name
}

// observe takes note of a call; it is a session's Observe.
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

// missed returns the refs of a file's header that were not touched, as far as they are in the
// cluster.
func (t *touched) missed(undoes []builtins.Ref) []builtins.Ref {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(undoes), func(r builtins.Ref) bool {
		return !r.InCluster() || t.refs[r] ||
			t.lists[builtins.Ref{Kind: r.Kind, Namespace: r.Namespace}] || t.lists[builtins.Ref{Kind: r.Kind}]
	})
}

// check fails if an undo that changed nothing did not even look at what its file undoes. A file as
// it was written is trusted: it may name what another file of its execution restores.
func (t *touched) check(file *versionFile, changes int) error {
	missed := t.missed(file.Undoes)
	if len(missed) == 0 {
		return nil
	}
	file.log.Warn(fmt.Sprintf("the edited callable looked at nothing of %s, which its header says it undoes", missed[0].Text()))
	if changes > 0 || len(missed) < len(file.Undoes) {
		return nil
	}
	return fmt.Errorf("nothing was restored: the edited callable looked at nothing that its header says it undoes, such as %s", missed[0].Text())
}
