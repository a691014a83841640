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

// pending returns what each file undoes. Those of which nothing is noted, and that were not looked at yet,
// are read by all cores, and parsed if they may undo one of the refs: beside ten thousand of them, that is
// what a run begins with.
func (o *overlaps) pending(ctx context.Context, r *Runner, files []versions.Noted, refs []builtins.Ref) []pendingFile {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]pendingFile, len(files))
	var unknown []int
	var read []versions.File
	for i, f := range files {
		all[i] = pendingFile{outline: outline(f.Note), brief: true}
		if !f.Unread && !all[i].outline.mayUndo(refs) {
			continue
		}
		known, ok := o.known[f.File]
		if all[i] = known; !ok || known.brief && known.outline.mayUndo(refs) {
			unknown, read = append(unknown, i), append(read, f.File)
		}
	}
	versions.ReadFiles(ctx, r.store, read, 0, func(n int, content []byte, err error) {
		i := unknown[n]
		all[i] = pendingFile{err: err}
		if err == nil {
			all[i] = pendingFile{outline: outlineOf(content), brief: true}
		}
		if err != nil || all[i].outline.mayUndo(refs) {
			all[i] = r.lookCloser(ctx, files[i].File, content, err)
		}
	})
	if o.known == nil {
		o.known = map[versions.File]pendingFile{}
	}
	for _, i := range unknown {
		// What is gone is not remembered: a name may come back.
		if !errors.Is(all[i].err, fs.ErrNotExist) && ctx.Err() == nil {
			o.known[files[i].File] = all[i]
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
	files, err := r.noted(ctx, versions.Filter{PendingOnly: true, Except: execution}, refs)
	if err != nil {
		return err
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
					Details: map[string]string{"run_uuid": files[i].RunUUID, "file": files[i].Location},
				}
			}
		}
	}
	return ctx.Err()
}

// noted returns the pending version files that a filter selects, with their outlines where the store
// keeps them. Those that surely undo none of the refs may be missing.
func (r *Runner) noted(ctx context.Context, f versions.Filter, refs []builtins.Ref) ([]versions.Noted, error) {
	if d, ok := r.store.(*versions.Dir); ok {
		return d.Notes(ctx, f, versions.Noter{
			Kind:   outlineKind,
			Note:   func(content []byte) string { return string(outlineOf(content)) },
			Wanted: func(note string) bool { return outline(note).mayUndo(refs) },
		})
	}
	listing, err := r.store.List(ctx, f)
	if err != nil {
		return nil, err
	}
	var all []versions.Noted
	for _, x := range listing.Executions {
		for _, f := range x.Files {
			if f.Replayable() {
				all = append(all, versions.Noted{File: f, RunUUID: x.RunUUID, Unread: true})
			}
		}
	}
	return all, nil
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
