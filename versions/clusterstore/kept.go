package clusterstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/versions"
)

// keptFile is a pending file that this hold wrote, with its content, gzipped. So this process can
// undo its changes whatever happens to the store: Secrets that somebody deletes or relabels, a
// deleted namespace, or an API server that does not answer.
type keptFile struct {
	entry
	incarnation string // that it is signed for
	packed      []byte
	said        bool // the log says that the store no longer has it
	failed      bool // the log says that it can't be written again
}

// keep stores a file that was written. The caller holds e.known.
func (e *execution) keep(x entry, incarnation string, packed []byte) {
	if x.State != versions.Pending {
		return // a copy of an executed file
	}
	e.kept[x.Key()] = &keptFile{entry: x, incarnation: incarnation, packed: packed}
}

// forget drops a file that needs no undo any more. The caller holds e.known.
func (e *execution) forget(x entry) { delete(e.kept, x.Key()) }

// keptContent returns the content of a file that this hold wrote.
func (e *execution) keptContent(x entry) (content []byte, ok bool, err error) {
	e.known.Lock()
	k := e.kept[x.Key()]
	e.known.Unlock()
	if k == nil || x.State != versions.Pending {
		return nil, false, nil
	}
	content, err = unpack(k.packed)
	return content, true, err
}

// addKept adds the files that this hold wrote to those found in the store. Nobody else may mark
// them as undone. The caller holds e.known.
func (e *execution) addKept(x *inside) {
	for _, key := range slices.Sorted(maps.Keys(e.kept)) {
		k := e.kept[key]
		if there, ok := x.files[key]; ok && there.uid == k.uid && there.State == versions.Pending {
			continue
		}
		x.files[key] = k.entry
		if !k.said {
			k.said = true
			e.store.log.Warn(fmt.Sprintf("%s was deleted or changed by somebody: this process still undoes it, from its memory", k.Location))
		}
	}
}

// soon is how long a holder waits for a store that it does not need.
const soon = 5 * time.Second

// refresh reads the files in the store. A holder can do without that, because it knows its own
// files. So a store that does not answer is no error.
func (e *execution) refresh(ctx context.Context) error {
	brief, cancel := context.WithTimeout(patience.Impatient(ctx), soon)
	defer cancel()
	err := e.look(brief)
	if err == nil {
		return nil
	}
	if lost := e.LostTo(); lost != nil {
		return lost
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.store.log.Warn(fmt.Sprintf("%s can't be listed: going on with what this process has in memory: %v", e.Location(), err))
	return nil
}

// errBusy is the error of a recheck for which there is no time now.
var errBusy = errors.New("the execution is in use")

// recheck makes the store as this holder knows it: see rescue. It never waits for other methods,
// because the renewals of the Lease wait for it.
func (e *execution) recheck(ctx context.Context) error {
	if !e.using.TryRLock() {
		return nil // Close does the same
	}
	defer e.using.RUnlock()
	if e.closed {
		return nil
	}
	if !e.writing.TryLock() {
		return errBusy
	}
	defer e.writing.Unlock()
	limit, cancel := context.WithTimeout(patience.Impatient(ctx), soon)
	defer cancel()
	return e.rescue(limit)
}

// rescue writes the pending files again that the store does not have any more, so that others can
// undo them: somebody deleted or changed them, or the state of the cluster was restored from a
// backup. The caller holds e.writing, or is Close.
func (e *execution) rescue(ctx context.Context) (err error) {
	e.known.Lock()
	none := len(e.kept) == 0
	e.known.Unlock()
	deleted := e.hold.isDeleted()
	e.hold.mu.Lock()
	e.hold.doubt = false // one that comes up meanwhile counts
	e.hold.mu.Unlock()
	defer func() {
		if err != nil {
			e.hold.suspect()
		}
	}()
	if deleted && none { // nothing would be in it
		return nil
	}
	if deleted {
		if err := e.remake(ctx); err != nil {
			return err
		}
	}
	objects, err := e.store.objects(ctx, e.id)
	if err != nil {
		return err
	}
	there, incarnation := e.store.entries(e.id, objects), e.hold.incarnation()
	e.known.Lock()
	var gone []*keptFile
	for key, k := range e.kept {
		if x, ok := there.files[key]; !ok || x.uid != k.uid || x.State != versions.Pending || k.incarnation != incarnation {
			gone = append(gone, k)
		}
	}
	behind := there.used < e.used
	e.known.Unlock()
	slices.SortFunc(gone, func(a, b *keptFile) int { return cmp.Compare(a.ordinal, b.ordinal) })
	if len(gone) == 0 && behind {
		return e.useUp(ctx)
	}
	failed := 0
	for _, k := range gone {
		if writeErr := e.writeAgain(ctx, k, there.files[k.Key()]); writeErr != nil {
			failed++
			err = writeErr
		}
	}
	if err != nil {
		return fmt.Errorf("%d version files that the store lost can't be written again: %w", failed, err)
	}
	return nil
}

// writeAgain writes a file again. old is what the store has under its name.
func (e *execution) writeAgain(ctx context.Context, k *keptFile, old entry) error {
	content, err := unpack(k.packed)
	if err == nil {
		_, err = e.write(ctx, k.File, content, func(context.Context) error { return e.LostTo() })
	}
	if err != nil {
		if !k.failed {
			k.failed = true
			e.store.log.Error(fmt.Sprintf("%s is pending, the store has it no more as it was written, and it can't be written again: %v", k.Location, err))
		}
		return err
	}
	e.store.log.Warn(fmt.Sprintf("%s was deleted or changed by somebody, or lost with the state of its cluster, and is written again", k.Location))
	if old.uid != k.uid {
		return nil
	}
	if err := e.delete(ctx, old); err != nil { // the one with the greater ordinal counts
		e.store.log.Warn(fmt.Sprintf("an outdated copy of %s stays: %v", k.Location, err))
		e.known.Lock()
		defer e.known.Unlock()
		e.older[k.Key()] = append(e.older[k.Key()], old) // it goes with the file
	}
	return nil
}

// useUp creates a Secret of the next ordinal: if the store lost the newest ones, a process that takes
// this execution over would take a used one for the next.
func (e *execution) useUp(ctx context.Context) error {
	e.known.Lock()
	ordinal := e.used + 1
	e.known.Unlock()
	fence := e.fence(ordinal)
	made, err := e.store.client.Create(ctx, secrets, e.store.options.Namespace, fence)
	if apierrors.IsAlreadyExists(err) {
		made, err = e.store.client.Get(ctx, secrets, e.store.options.Namespace, secretName(e.id, ordinal))
	}
	if err == nil {
		_, err = e.judge(made, fence)
	}
	if err != nil {
		return err
	}
	e.known.Lock()
	defer e.known.Unlock()
	e.used = ordinal
	e.removed = append(e.removed, entry{secret: kube.Meta(made).GetName(), uid: string(kube.Meta(made).GetUID())})
	return nil
}

// refusesFences reports whether the API server accepts no Secret: a quota is used up, a policy or a
// webhook refuses it, or a right is missing. An undo needs no Secret.
func refusesFences(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || errors.As(err, new(*kube.WebhookError))
}
