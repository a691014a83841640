package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PatchOptions are preconditions. A mismatch is a conflict.
type PatchOptions struct{ UID, ResourceVersion string }

// DeleteOptions are preconditions, and the grace period of a pod.
type DeleteOptions struct {
	UID, ResourceVersion string
	GraceSeconds         *int64
}

// Create creates an object, which must have a name. If the answer was lost, an object of that name
// counts as created by this call if it has the same [RunLabel] or, without that label, the same
// values.
func (c *Client) Create(ctx context.Context, r Resource, namespace string, obj Object) (Object, error) {
	name := Meta(obj).GetName()
	if name == "" {
		// With generateName, a lost answer would leave an object that nobody can find.
		return nil, errors.New("create: metadata.name is empty: choose the name before the call, generateName is not supported")
	}
	if err := checkObject(r, namespace, name); err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	obj, err := asKind(r, obj)
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	want, body, err := normal(obj)
	if err != nil {
		return nil, fmt.Errorf("create: %w", err)
	}
	q := c.mutation("create", http.MethodPost, r, namespace, name)
	q.body, q.contentType = body, jsonType
	return c.write(ctx, write{request: q, landed: func(there Object) bool {
		switch {
		case there == nil || Meta(there).GetDeletionTimestamp() != nil:
			return false
		case Meta(want).GetLabels()[RunLabel] != "":
			return Meta(there).GetLabels()[RunLabel] == Meta(want).GetLabels()[RunLabel]
		}
		return contains(there, withoutVersion(want))
	}})
}

// Patch merges values into an object (JSON merge patch: null removes). Without preconditions, a
// patch may be sent twice if an answer was lost.
func (c *Client) Patch(ctx context.Context, r Resource, namespace, name string, patch Object, o PatchOptions) (Object, error) {
	if err := checkObject(r, namespace, name); err != nil {
		return nil, fmt.Errorf("patch: %w", err)
	}
	want, _, err := normal(patch)
	if err != nil {
		return nil, fmt.Errorf("patch: %w", err)
	}
	sent := withMeta(want, "uid", o.UID)
	sent = withMeta(sent, "resourceVersion", o.ResourceVersion)
	_, body, err := normal(sent)
	if err != nil {
		return nil, fmt.Errorf("patch: %w", err)
	}
	q := c.mutation("patch", http.MethodPatch, r, namespace, name)
	q.body, q.contentType = body, mergePatchType
	return c.write(ctx, write{request: q, once: o.ResourceVersion != "", landed: func(there Object) bool {
		return there != nil && (o.UID == "" || string(Meta(there).GetUID()) == o.UID) && contains(there, withoutVersion(want))
	}})
}

// Apply is a server-side apply by the named field manager. force takes fields over from other
// managers.
func (c *Client) Apply(ctx context.Context, r Resource, namespace, name string, obj Object, manager string, force bool) (Object, error) {
	if err := checkObject(r, namespace, name); err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	if manager == "" {
		return nil, errors.New("apply: the field manager is empty")
	}
	if got := Meta(obj).GetName(); got != "" && got != name {
		return nil, fmt.Errorf("apply: metadata.name: got %q, want %q", got, name)
	}
	obj, err := asKind(r, obj)
	if err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	obj = withMeta(obj, "name", name)
	want, body, err := normal(obj)
	if err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	q := c.mutation("patch", http.MethodPatch, r, namespace, name)
	q.body, q.contentType = body, applyType
	q.query.Set("fieldManager", manager)
	q.query.Set("force", strconv.FormatBool(force))
	return c.write(ctx, write{
		request: q,
		// The values may be there with another manager. Only another apply makes this one the
		// manager.
		resend: true,
		landed: func(there Object) bool { return there != nil && contains(there, withoutVersion(want)) },
	})
}

// Delete deletes an object and, in the background, what the object owns. Nil means that the API
// server has accepted the delete: finalizers and the grace period of a pod may keep the object for
// a while. Give the UID where it is known. A delete may be sent twice if an answer was lost, and
// would then hit a new object of the same name.
func (c *Client) Delete(ctx context.Context, r Resource, namespace, name string, o DeleteOptions) error {
	_, err := c.Remove(ctx, r, namespace, name, o)
	return err
}

// Remove is Delete. removed is true only if the answer proves that the object is gone: it is a
// success with the UID that was asked for, of a kind that the API server stores itself. Otherwise
// it is not known yet.
func (c *Client) Remove(ctx context.Context, r Resource, namespace, name string, o DeleteOptions) (removed bool, err error) {
	if err := checkObject(r, namespace, name); err != nil {
		return false, fmt.Errorf("delete: %w", err)
	}
	options := Object{"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
	preconditions := Object{}
	if o.UID != "" {
		preconditions["uid"] = o.UID
	}
	if o.ResourceVersion != "" {
		preconditions["resourceVersion"] = o.ResourceVersion
	}
	if len(preconditions) > 0 {
		options["preconditions"] = preconditions
	}
	if o.GraceSeconds != nil {
		options["gracePeriodSeconds"] = *o.GraceSeconds
	}
	if isDryRun(ctx) {
		// The server reads the options of a delete from its body, and then none from the query.
		options["dryRun"] = []any{metav1.DryRunAll}
	}
	_, body, err := normal(options)
	if err != nil {
		return false, fmt.Errorf("delete: %w", err)
	}
	q := c.mutation("delete", http.MethodDelete, r, namespace, name)
	q.body, q.contentType, q.expect = body, jsonType, q.deleted
	once := o.UID != "" || o.ResourceVersion != ""
	answer, err := c.write(ctx, write{request: q, once: once, landed: func(there Object) bool {
		if there == nil || o.UID != "" && string(Meta(there).GetUID()) != o.UID {
			return true
		}
		if Meta(there).GetDeletionTimestamp() == nil {
			return false
		}
		// An earlier delete with a longer grace period may be under way.
		grace := Meta(there).GetDeletionGracePeriodSeconds()
		return o.GraceSeconds == nil || grace == nil || *grace <= *o.GraceSeconds
	}})
	return err == nil && !isDryRun(ctx) && builtInGroup(r.Group) && provesGone(answer, o.UID), err
}

// provesGone reports whether the answer to a delete is a success about the object of that UID,
// which the API server gives once it has removed it. For one that takes its time it answers with
// the object.
func provesGone(answer Object, uid string) bool {
	details, _ := answer["details"].(Object)
	return uid != "" && answer["kind"] == "Status" && details["uid"] == uid
}

// write is a request that changes something.
type write struct {
	request request
	// landed reports whether the change was made. there is the object as it is now, or nil if it is
	// absent.
	landed func(there Object) bool
	// resend: the request is sent again even if the object is already as wanted.
	resend bool
	// once: because of a precondition, a second attempt can't change anything.
	once bool
}

// doubt is about the attempts whose answers were lost.
type doubt struct {
	attempts int
	ended    time.Time // the latest of them
	// answered: the API server said of each that it failed, so that none is under way.
	answered bool
}

func (d doubt) none() bool { return d.attempts == 0 }

type lateNoteKey struct{}

type dryRunKey struct{}

// WithDryRun returns a context for changing requests that the server checks as any other, and does
// not carry out.
func WithDryRun(ctx context.Context) context.Context {
	return context.WithValue(ctx, dryRunKey{}, true)
}

func isDryRun(ctx context.Context) bool { return ctx.Value(dryRunKey{}) != nil }

// WithLateNote returns a context for requests that change something. Such a request calls note if
// it returns anything but an [*UnknownOutcomeError] while an earlier attempt, whose answer was
// lost, may still land. What a later attempt made may be removed by then, and the earlier attempt
// would make it again.
func WithLateNote(ctx context.Context, note func()) context.Context {
	return context.WithValue(ctx, lateNoteKey{}, note)
}

// settled tells of the attempts in doubt that are left when all but landed are accounted for.
func (w write) settled(ctx context.Context, d doubt, landed int) {
	note, ok := ctx.Value(lateNoteKey{}).(func())
	if ok && !w.once && d.attempts > landed {
		note()
	}
}

// write sends until there is an answer, the patience is used up or the context ends. After a lost
// answer the outcome is in doubt, until the change is seen, a later attempt is answered, or the
// lost attempt is too old to land.
func (c *Client) write(ctx context.Context, w write) (Object, error) {
	waiting := c.patience.Begin()
	defer waiting.End()
	q := w.request
	var lost doubt
	var same tally
	for {
		started := time.Now()
		a := c.attempt(ctx, q, waiting, started)
		if a.err == nil {
			c.patience.Answered(ctx)
			w.settled(ctx, lost, 0)
			return a.object, nil
		}
		m := q.missed(a)
		if m != nil && m.doubt {
			lost = doubt{lost.attempts + 1, time.Now(), m.answered && (lost.none() || lost.answered)}
		}
		if ctx.Err() != nil {
			return nil, q.unsettled(q.cancelled(ctx), lost)
		}
		var err error
		if m == nil {
			err = q.final(a)
		} else {
			err = c.verdict(ctx, q, a, m, &same, waiting)
		}
		if err != nil {
			if isStatus(err) {
				c.patience.Answered(ctx)
			}
			return c.refused(ctx, w, err, lost)
		}
		if err := waiting.Again(ctx, m.Miss, started); err != nil {
			if ctx.Err() != nil {
				return nil, q.unsettled(q.cancelled(ctx), lost)
			}
			return nil, q.unsettled(q.fail(err), lost)
		}
		if lost.none() || w.resend {
			continue
		}
		there, err := c.look(ctx, q)
		switch {
		case err == nil && w.landed(there):
			c.log.InfoContext(ctx, fmt.Sprintf("the answer to %s was lost: read back, it was done", q))
			w.settled(ctx, lost, 1)
			return there, nil
		case err != nil && (!isRefusal(err) || apierrors.IsInternalError(err)):
			return nil, q.unsettled(err, lost)
		}
	}
}

// refused concludes from a final error. If an earlier attempt is in doubt, it may be the reason for
// the error.
func (c *Client) refused(ctx context.Context, w write, err error, lost doubt) (Object, error) {
	q := w.request
	if lost.none() {
		return nil, err
	}
	said := q.saidAbout(err)
	if apierrors.IsNotFound(said) && w.landed(nil) {
		return nil, nil
	}
	there, lookErr := c.look(ctx, q)
	if lookErr != nil {
		if !isRefusal(lookErr) {
			err = lookErr
		}
		return nil, q.unsettled(err, lost)
	}
	if w.landed(there) {
		c.log.InfoContext(ctx, fmt.Sprintf("the answer to %s was lost: read back, it was done", q))
		w.settled(ctx, lost, 1)
		return there, nil
	}
	// These errors hold for the earlier attempt, too. Others need not: that attempt may have used
	// up the quota.
	conclusive := apierrors.IsNotFound(said) || apierrors.IsAlreadyExists(said) ||
		apierrors.IsConflict(said) && q.method != http.MethodPost
	if conclusive || lost.answered || time.Since(lost.ended) > c.mutationTimeout*3/2 {
		w.settled(ctx, lost, 0)
		return nil, err
	}
	return nil, q.unsettled(err, lost)
}

// saidAbout returns an error if it is about the object of the request, or nil. Other errors, such
// as the conflict of a quota, say nothing about the object.
func (q request) saidAbout(err error) error {
	var status *apierrors.StatusError
	if errors.As(err, &status) && q.about(&status.ErrStatus) {
		return status
	}
	return nil
}

// look reads the object of a write. It returns nil if the object is absent.
func (c *Client) look(ctx context.Context, q request) (Object, error) {
	a, err := c.read(ctx, c.request("get", http.MethodGet, q.resource, q.namespace, q.name))
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return a.object, err
}

// isRefusal reports whether the API server refused the read. Then only the write itself shows the
// outcome.
func isRefusal(err error) bool {
	var unavailable *UnavailableError
	return isStatus(err) && !errors.As(err, &unavailable)
}

// unsettled returns an error if the write ends with an attempt in doubt.
func (q request) unsettled(err error, lost doubt) error {
	if lost.none() {
		return err
	}
	var e *Error
	if !errors.As(err, &e) {
		return &UnknownOutcomeError{Err: err}
	}
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) {
		return q.fail(&UnknownOutcomeError{Err: unavailable})
	}
	return q.fail(&UnknownOutcomeError{Err: errors.New(e.Error())})
}

func withoutVersion(object Object) Object {
	return withMeta(object, "resourceVersion", "")
}
