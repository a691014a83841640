package clusterstore

import (
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
	packed []byte
	said   bool // the log says that the store no longer has it
}

// keep stores a file that was written. The caller holds e.known.
func (e *execution) keep(x entry, packed []byte) {
	if x.State != versions.Pending {
		return // a copy of an executed file
	}
	e.kept[x.Key()] = &keptFile{entry: x, packed: packed}
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

// rescue writes the pending files again that somebody deleted or changed, so that others can undo
// them.
func (e *execution) rescue() {
	ctx, cancel := context.WithTimeout(patience.Impatient(context.Background()), soon)
	defer cancel()
	objects, err := e.store.objects(ctx, e.id)
	if err != nil {
		return // the log says so already, or the files are as they were
	}
	there := e.store.entries(e.id, objects).files
	e.known.Lock()
	var gone []*keptFile
	for key, k := range e.kept {
		if x, ok := there[key]; !ok || x.uid != k.uid || x.State != versions.Pending {
			gone = append(gone, k)
		}
	}
	e.known.Unlock()
	for _, k := range gone {
		content, err := unpack(k.packed)
		if err == nil {
			_, err = e.write(ctx, k.File, content)
		}
		if err != nil {
			e.store.log.Error(fmt.Sprintf("%s is pending, was deleted or changed by somebody, and can't be written again: %v", k.Location, err))
			continue
		}
		e.store.log.Warn(fmt.Sprintf("%s was deleted or changed by somebody, and is written again", k.Location))
	}
}

// refusesFences reports whether the API server accepts no Secret: a quota is used up, a policy or a
// webhook refuses it, or a right is missing. An undo needs no Secret.
func refusesFences(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || errors.As(err, new(*kube.WebhookError))
}
