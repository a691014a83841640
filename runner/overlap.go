package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// pendingFile is what a pending version file of another execution undoes.
type pendingFile struct {
	version builtins.Version
	content []byte // of a file that can't be loaded
	err     error  // why
}

// overlaps remembers the files that were looked at: a scenario of many steps asks
// again at each.
type overlaps struct {
	mu    sync.Mutex
	known map[versions.File]pendingFile
}

// pending returns what f undoes.
func (o *overlaps) pending(ctx context.Context, r *Runner, f versions.File) pendingFile {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.known[f]; ok {
		return known
	}
	var p pendingFile
	if p.content, p.err = r.store.Read(ctx, f); p.err == nil {
		if p.version, p.err = r.header(ctx, f, p.content); p.err == nil {
			p.content = nil
		}
	}
	if errors.Is(p.err, fs.ErrNotExist) {
		return p // and not remembered: a name may come back
	}
	if p.err != nil {
		r.options.Log.Warn(fmt.Sprintf("can't read what %s undoes: %v", f.Location, p.err))
	}
	if o.known == nil {
		o.known = map[versions.File]pendingFile{}
	}
	o.known[f] = p
	return p
}

// checkOverlap refuses refs that a pending file of another execution names, on
// the same cluster as far as that is known: two undos of one thing would each put
// back what the other's chaos had made of it.
func (r *Runner) checkOverlap(ctx context.Context, execution, clusterUID string, refs []builtins.Ref) error {
	listing, err := r.store.List(ctx, versions.Filter{PendingOnly: true, Except: execution})
	if err != nil {
		return err
	}
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if !f.Replayable() {
				continue
			}
			p := r.overlaps.pending(ctx, r, f)
			if errors.Is(p.err, fs.ErrNotExist) {
				continue // restored since it was listed
			}
			elsewhere := clusterUID != "" && p.version.ClusterUID != "" && clusterUID != p.version.ClusterUID
			for _, ref := range refs {
				// Two clusters may share a cloud's subnets, and nothing else.
				if p.names(ref) && !(elsewhere && ref.InCluster()) {
					return &RefusedError{
						Kind:    KindOverlap,
						Err:     fmt.Errorf("%s still has to be restored by %s", ref.Text(), f.Location),
						Details: map[string]string{"run_uuid": x.RunUUID, "file": f.Location},
					}
				}
			}
		}
	}
	return nil
}

// names reports whether the file undoes ref. One that can't be loaded does if it
// mentions it, and one that can't be read might.
func (p pendingFile) names(ref builtins.Ref) bool {
	if p.err != nil {
		return p.content == nil || mentions(p.content, ref)
	}
	return slices.Contains(p.version.Undoes, ref)
}

// mentions reports whether a file that can't be loaded may be about ref: whether its name is
// a string in it.
func mentions(content []byte, ref builtins.Ref) bool {
	return bytes.Contains(content, []byte(`"`+ref.Name+`"`)) || bytes.Contains(content, []byte("'"+ref.Name+"'"))
}
