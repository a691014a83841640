package runner

import (
	"context"
	"fmt"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/versions"
)

// pendingFile is what a pending version file of the store undoes.
type pendingFile struct {
	file    versions.File
	version builtins.Version
}

// pendings loads the pending files that the filter selects. Files that can't be
// read are left out and said: what they undo is not known.
func (r *Runner) pendings(ctx context.Context, except string) ([]pendingFile, error) {
	listing, err := r.Store.List(ctx, versions.Filter{PendingOnly: true})
	if err != nil {
		return nil, err
	}
	var found []pendingFile
	for _, x := range listing.Executions {
		if x.ID == except {
			continue
		}
		for _, f := range x.Files {
			if !f.Replayable() {
				continue
			}
			if content, err := r.Store.Read(ctx, f); err != nil {
				r.Log.Warn(fmt.Sprintf("what %s undoes is not known: %v", f.Location, err))
			} else if file, err := r.load(ctx, f.Location, content); err != nil {
				r.Log.Warn(fmt.Sprintf("what %s undoes is not known: %v", f.Location, err))
			} else {
				found = append(found, pendingFile{f, file.Version})
			}
		}
	}
	return found, nil
}

// checkOverlap refuses refs that a pending file of another execution names, on
// the same cluster as far as that is known: two undos of one thing would each put
// back what the other's chaos had made of it.
func (r *Runner) checkOverlap(ctx context.Context, execution, clusterUID string, refs []builtins.Ref) error {
	wanted := map[builtins.Ref]bool{}
	for _, ref := range refs {
		wanted[ref] = true
	}
	others, err := r.pendings(ctx, execution)
	if err != nil {
		return err
	}
	for _, other := range others {
		elsewhere := clusterUID != "" && other.version.ClusterUID != "" && clusterUID != other.version.ClusterUID
		for _, ref := range other.version.Undoes {
			// Two clusters may share a cloud's subnets.
			if wanted[ref] && !(elsewhere && ref.InCluster()) {
				return &RefusedError{
					Err:  fmt.Errorf("%s still has to be restored by %s", ref.Text(), other.file.Location),
					Hint: "replay that first: ebb execute-rollback --run_uuid " + other.version.RunUUID,
				}
			}
		}
	}
	return nil
}
