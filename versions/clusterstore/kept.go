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

// keptFile is a pending file that this hold wrote, with what is in it, gzipped. Whoever changed
// something can undo it, whatever becomes of the store: Secrets that somebody deletes or labels
// otherwise, a namespace that goes and an API server that is away take nothing from it.
type keptFile struct {
	entry
	packed []byte
	said   bool // that the store has it no more
}

// keep remembers a file that was written. Who calls it holds e.known.
func (e *execution) keep(x entry, packed []byte) {
	if x.State != versions.Pending {
		return // a copy of what is undone
	}
	e.kept[x.Key()] = &keptFile{entry: x, packed: packed}
}

// forget is for a file that needs no undo any more. Who calls it holds e.known.
func (e *execution) forget(x entry) { delete(e.kept, x.Key()) }

// keptContent returns what is in a file that this hold wrote.
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

// addKept puts what this hold wrote to what was found in the store: nobody else had the right to
// say that it is undone. Who calls it holds e.known.
func (e *execution) addKept(x *inside) {
	for _, key := range slices.Sorted(maps.Keys(e.kept)) {
		k := e.kept[key]
		if there, ok := x.files[key]; ok && there.uid == k.uid && there.State == versions.Pending {
			continue
		}
		x.files[key] = k.entry
		if !k.said {
			k.said = true
			e.store.log.Warn(fmt.Sprintf("%s was deleted or changed by somebody: it is still undone here, by what this process knows", k.Location))
		}
	}
}

// soon is how long a holder waits for a store that it does not need.
const soon = 5 * time.Second

// refresh looks at what the store has. A holder knows that by itself, as far as it can be known: a store
// that does not answer keeps it from nothing.
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
	e.store.log.Warn(fmt.Sprintf("%s can't be listed, and is as this process knows it: %v", e.Location(), err))
	return nil
}

// rescue writes anew what somebody deleted or changed of the files that are left to others.
func (e *execution) rescue() {
	ctx, cancel := context.WithTimeout(patience.Impatient(context.Background()), soon)
	defer cancel()
	objects, err := e.store.objects(ctx, e.id)
	if err != nil {
		return // it was said, or nobody harmed them
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
			e.store.log.Error(fmt.Sprintf("%s is pending, was deleted or changed by somebody, and can't be written anew: %v", k.Location, err))
			continue
		}
		e.store.log.Warn(fmt.Sprintf("%s was deleted or changed by somebody, and is written anew", k.Location))
	}
}

// refusesFences reports whether the API server takes no Secret: a quota is used up, a policy or a
// webhook refuses it, or the right is missing. An undo needs none.
func refusesFences(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || errors.As(err, new(*kube.WebhookError))
}
