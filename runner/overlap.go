package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

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

// pending returns what each file undoes. Those that were not looked at yet are read and parsed by
// all cores: beside ten thousand of them, that is what a run begins with.
func (o *overlaps) pending(ctx context.Context, r *Runner, files []versions.File) []pendingFile {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]pendingFile, len(files))
	var unknown []int
	for i, f := range files {
		known, ok := o.known[f]
		if all[i] = known; !ok {
			unknown = append(unknown, i)
		}
	}
	var next atomic.Int64
	var work sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(unknown)) {
		work.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(unknown); n = int(next.Add(1)) - 1 {
				all[unknown[n]] = r.readPending(ctx, files[unknown[n]])
			}
		})
	}
	work.Wait()
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

// readPending finds out what a file undoes.
func (r *Runner) readPending(ctx context.Context, f versions.File) pendingFile {
	var p pendingFile
	if p.content, p.err = r.store.Read(ctx, f); p.err == nil {
		if p.version, p.err = r.header(ctx, f, p.content); p.err == nil {
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
	for i, p := range r.overlaps.pending(ctx, r, files) {
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
