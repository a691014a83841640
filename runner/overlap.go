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
	outline outline // of a file that was not looked at any closer
	brief   bool    // only the outline is known
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

// pending returns what each file undoes. Those that were not looked at yet are read by all cores, and
// parsed if they may undo one of the refs: beside ten thousand of them, that is what a run begins with.
func (o *overlaps) pending(ctx context.Context, r *Runner, files []versions.File, refs []builtins.Ref) []pendingFile {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]pendingFile, len(files))
	var unknown []int
	for i, f := range files {
		known, ok := o.known[f]
		if all[i] = known; !ok || known.brief && known.outline.mayUndo(refs) {
			unknown = append(unknown, i)
		}
	}
	read := make([]versions.File, len(unknown))
	for n, i := range unknown {
		read[n] = files[i]
	}
	versions.ReadFiles(ctx, r.store, read, 0, func(n int, content []byte, err error) {
		i := unknown[n]
		all[i] = pendingFile{err: err}
		if err == nil {
			all[i] = pendingFile{outline: outlineOf(content), brief: true}
		}
		if err != nil || all[i].outline.mayUndo(refs) {
			all[i] = r.lookCloser(ctx, files[i], content, err)
		}
	})
	if o.known == nil {
		o.known = map[versions.File]pendingFile{}
	}
	for _, i := range unknown {
		// What is gone is not remembered: a name may come back.
		if !errors.Is(all[i].err, fs.ErrNotExist) && ctx.Err() == nil {
			o.known[files[i]] = all[i]
		}
	}
	return all
}

// lookCloser finds out what a file undoes. err is why it could not be read.
func (r *Runner) lookCloser(ctx context.Context, f versions.File, content []byte, err error) pendingFile {
	p := pendingFile{content: content, err: err}
	if p.err == nil {
		if p.version, p.err = r.header(ctx, f, content); p.err == nil {
			p.content = nil
		}
	}
	if p.err != nil && !errors.Is(p.err, fs.ErrNotExist) {
		r.options.Log.Warn(fmt.Sprintf("can't read what %s undoes: %v", f.Location, p.err))
	}
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
	var files []versions.File
	var runs []string
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if f.Replayable() {
				files, runs = append(files, f), append(runs, x.RunUUID)
			}
		}
	}
	for i, p := range r.overlaps.pending(ctx, r, files, refs) {
		if errors.Is(p.err, fs.ErrNotExist) {
			continue // restored since it was listed
		}
		elsewhere := clusterUID != "" && p.version.ClusterUID != "" && clusterUID != p.version.ClusterUID
		for _, ref := range refs {
			// Two clusters may share a cloud's subnets, and nothing else.
			if p.names(ref) && !(elsewhere && ref.InCluster()) {
				return &RefusedError{
					Kind:    KindOverlap,
					Err:     fmt.Errorf("%s still has to be restored by %s", ref.Text(), files[i].Location),
					Details: map[string]string{"run_uuid": runs[i], "file": files[i].Location},
				}
			}
		}
	}
	return ctx.Err()
}

// names reports whether the file undoes ref. One that can't be loaded does if it
// mentions it, and one that can't be read might.
func (p pendingFile) names(ref builtins.Ref) bool {
	if p.brief {
		return false // none of those that were asked for
	}
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
