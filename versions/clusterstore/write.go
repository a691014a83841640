package clusterstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/versions"
)

// Flush implements versions.Execution.
func (e *execution) Flush(ctx context.Context, scenarioType string, content []byte) (versions.File, error) {
	leave, err := e.enter(ctx)
	if err != nil {
		return versions.File{}, err
	}
	defer leave()
	e.writing.Lock()
	defer e.writing.Unlock()
	e.known.Lock()
	newest := e.newest
	e.known.Unlock()
	f, err := versions.NewFile(e.id, scenarioType, newest, content)
	if err != nil {
		return versions.File{}, err
	}
	x, err := e.write(ctx, f, content, e.mayWrite)
	if err != nil {
		return versions.File{}, fmt.Errorf("version file not written: %w", readOnly(err))
	}
	return x.File, nil
}

// Put implements versions.TwinExecution.
func (e *execution) Put(ctx context.Context, f versions.File, content []byte) (versions.File, error) {
	leave, err := e.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	if err := e.own(f); err != nil {
		return f, err
	}
	e.writing.Lock()
	defer e.writing.Unlock()
	e.known.Lock()
	_, there := e.files[f.Key()]
	e.known.Unlock()
	if there {
		return f, fmt.Errorf("version file %q: %w", f.Name, fs.ErrExist)
	}
	x, err := e.write(ctx, f, content, e.mayWrite)
	if err != nil {
		return f, fmt.Errorf("version file not written: %w", readOnly(err))
	}
	return x.File, nil
}

// mayWrite returns nil if a file may be written now for a change. Write-ahead: a store that lacks
// earlier files gets them first. The caller holds e.writing.
func (e *execution) mayWrite(ctx context.Context) error {
	if err := e.confirm(ctx); err != nil {
		return err
	}
	e.hold.mu.Lock()
	doubt := e.hold.doubt
	e.hold.mu.Unlock()
	if doubt {
		return e.rescue(ctx)
	}
	return nil
}

// write creates the Secret of a file, under the next ordinal. The caller holds e.writing, so
// ordinals are used one after the other, and a process that takes this execution over knows the
// next one. An ordinal that was not used, as far as is known, is tried again. permit is asked before
// each attempt.
func (e *execution) write(ctx context.Context, f versions.File, content []byte, permit func(context.Context) error) (entry, error) {
	packed, err := pack(content)
	if err != nil {
		return entry{}, err
	}
	for {
		if err := permit(ctx); err != nil {
			return entry{}, err
		}
		b := e.signed(ctx)
		e.known.Lock()
		ordinal := e.used + 1
		e.known.Unlock()
		object := e.object(f, ordinal, b, content, packed)
		made, err := e.store.client.Create(ctx, secrets, e.store.options.Namespace, object)
		if apierrors.IsAlreadyExists(err) {
			made, err = e.store.client.Get(ctx, secrets, e.store.options.Namespace, secretName(e.id, ordinal))
			if apierrors.IsNotFound(err) {
				continue
			}
		}
		if err != nil {
			return entry{}, err
		}
		ours, err := e.judge(made, object)
		if err != nil {
			return entry{}, err
		}
		e.known.Lock()
		e.used = ordinal
		e.known.Unlock()
		if !ours { // an earlier attempt of this process whose answer was lost
			if err := e.hide(ctx, entry{secret: kube.Meta(made).GetName(), uid: string(kube.Meta(made).GetUID())}); err != nil {
				return entry{}, err
			}
			continue
		}
		return e.wrote(made, b.incarnation, content)
	}
}

// judge reads the Secret with the ordinal of a file that was just written. If another process has
// used the ordinal, it has taken the execution over.
func (e *execution) judge(made, want kube.Object) (ours bool, err error) {
	h := readHolder(kube.Meta(made).GetAnnotations()[noteHolder])
	if h.Identity != e.hold.holder.Identity {
		return false, e.lose(h)
	}
	return same(made["data"], want["data"]), nil
}

func same(a, b any) bool {
	x, _ := a.(kube.Object)
	y, _ := b.(kube.Object)
	for _, key := range []string{dataFile, dataSignature, dataKey} {
		if x[key] != y[key] {
			return false
		}
	}
	return true
}

// hide labels a Secret as a removed file.
func (e *execution) hide(ctx context.Context, x entry) error {
	err := e.label(ctx, x, stateRemoved)
	if err == nil {
		e.known.Lock()
		defer e.known.Unlock()
		e.removed = append(e.removed, x)
	}
	return err
}

// wrote records a file that was written, from the answer of the API server.
func (e *execution) wrote(made kube.Object, incarnation string, content []byte) (entry, error) {
	x, err := e.store.readEntry(kube.Meta(made))
	if err != nil {
		return entry{}, fmt.Errorf("%s: the API server's answer has another Secret: %w", e.Location(), err)
	}
	data, _ := made["data"].(kube.Object)
	text, _ := data[dataFile].(string)
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return entry{}, err
	}
	back, err := unpack(packed)
	if err == nil && !bytes.Equal(back, content) {
		err = errors.New("is not what was written")
	}
	if err != nil {
		return entry{}, fmt.Errorf("%s %w", x.Location, err)
	}
	e.store.remember(x.uid, content)
	e.known.Lock()
	defer e.known.Unlock()
	e.files[x.Key()], e.newest = x, max(e.newest, x.Timestamp)
	e.keep(x, incarnation, packed)
	return x, nil
}

// pendingEntry returns the entry of a pending file.
func (e *execution) pendingEntry(f versions.File) (entry, error) {
	x, err := e.entry(f)
	if err == nil && x.State != versions.Pending {
		err = fmt.Errorf("version file %q: got an executed one, want a pending one", f.Name)
	}
	return x, err
}

// Replace implements versions.Execution. A Secret is immutable, so the new content gets a Secret of
// its own, and the old one is deleted after that. Until then, the newer one counts.
func (e *execution) Replace(ctx context.Context, f versions.File, content []byte) (versions.File, error) {
	leave, err := e.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	e.writing.Lock()
	defer e.writing.Unlock()
	if err := e.mayWrite(ctx); err != nil {
		return f, err
	}
	x, err := e.pendingEntry(f)
	if err != nil {
		return f, err
	}
	replaced, err := e.write(ctx, x.File, content, e.mayWrite)
	if err != nil {
		return f, readOnly(err)
	}
	e.known.Lock()
	older := e.older[x.Key()]
	if len(older) == 0 {
		e.older[x.Key()] = []entry{x}
	}
	e.known.Unlock()
	if len(older) > 0 { // keep the original, and delete the version between
		return replaced.File, e.delete(ctx, x)
	}
	return replaced.File, e.label(ctx, x, stateOriginal)
}

// label changes the state of a Secret to one of a Secret that is no longer a file.
func (e *execution) label(ctx context.Context, x entry, state string) error {
	_, err := e.store.client.Patch(ctx, secrets, e.store.options.Namespace, x.secret,
		kube.Object{"metadata": kube.Object{"labels": kube.Object{labelState: state}}}, kube.PatchOptions{UID: x.uid})
	return err
}

// MarkExecuted implements versions.Execution.
func (e *execution) MarkExecuted(ctx context.Context, f versions.File) (versions.File, error) {
	leave, err := e.enter(ctx)
	if err != nil {
		return f, err
	}
	defer leave()
	e.writing.Lock() // so that it is not written again meanwhile
	defer e.writing.Unlock()
	x, err := e.pendingEntry(f)
	if err != nil {
		return f, err
	}
	now := time.Now()
	patched, err := e.store.client.Patch(ctx, secrets, e.store.options.Namespace, x.secret, kube.Object{"metadata": kube.Object{
		"labels": kube.Object{labelState: string(versions.Executed)},
		"annotations": kube.Object{
			noteExecutedAt: now.UTC().Format(time.RFC3339Nano), noteExecutedBy: e.hold.holder.describe(),
		},
	}}, kube.PatchOptions{UID: x.uid})
	done := x
	switch {
	case apierrors.IsNotFound(err) && e.LostTo() == nil: // somebody deleted it, so nothing says that it is pending
		done.File = x.In(versions.Executed)
	case err != nil:
		return f, readOnly(err)
	default:
		if done, err = e.store.readEntry(kube.Meta(patched)); err != nil {
			return f, err
		}
	}
	e.known.Lock()
	defer e.known.Unlock()
	e.files[x.Key()] = done
	e.forget(x)
	return done.File, nil
}

// Import implements versions.Execution. A cluster has no files of Krkn's.
func (e *execution) Import(ctx context.Context, f versions.File, content []byte) (versions.File, error) {
	leave, err := e.enter(ctx)
	if err != nil {
		return versions.File{}, err
	}
	defer leave()
	x, err := e.entry(f)
	if err == nil {
		err = versions.CheckContent(content)
	}
	if err == nil {
		err = fmt.Errorf("version file %q: got one of ours, want one of Krkn's", x.Name)
	}
	return versions.File{}, err
}

// parallelDeletes is how many Secrets are deleted at the same time.
const parallelDeletes = 8

// Remove implements versions.Execution. The newest ordinal stays used until the end, so that a
// process that takes this execution over finds the next one.
func (e *execution) Remove(ctx context.Context, files ...versions.File) error {
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	e.writing.Lock() // so that no ordinal is used meanwhile, and nothing is written again
	defer e.writing.Unlock()
	var found []entry
	for _, f := range files {
		x, err := e.entry(f)
		switch {
		case err == nil:
			found = append(found, x)
		case !isMissing(err):
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelDeletes)
	for _, x := range found {
		group.Go(func() error {
			e.known.Lock()
			last, older := x.ordinal == e.used, e.older[x.Key()]
			e.known.Unlock()
			for _, other := range older {
				if err := e.delete(ctx, other); err != nil {
					return err
				}
			}
			var err error
			if last {
				err = e.hide(ctx, x)
			} else {
				err = e.delete(ctx, x)
			}
			if err != nil && !isMissing(err) {
				return err
			}
			e.known.Lock()
			defer e.known.Unlock()
			delete(e.files, x.Key())
			delete(e.older, x.Key())
			e.forget(x)
			return nil
		})
	}
	return readOnly(group.Wait())
}
