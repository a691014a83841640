// Package permit asks, at the last moment, whether a changing request may still be sent.
//
// A process that was stopped, or whose machine slept, does not know how long that was: it goes on
// where it was, and that may be just before a request, after its right to make changes has gone to
// somebody else. So whoever makes a request puts a check into its context ([With]), and clients call
// it when they begin to send ([Check]) and when the request's body is written to the connection
// ([Body]).
//
// Avoid checks that take time: they are called while a connection is in use.
//
// Promised: a request whose check fails is not carried out. What is left is the moment between the
// check and the write to the connection, which a few instructions fill.
package permit

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

type key struct{}

// With returns a context for changing requests that are sent only while check returns nil.
func With(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, key{}, check)
}

// RefusedError is a request that was not sent. It wraps what the check said.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return fmt.Sprintf("the request was not sent: %v", e.Err) }

func (e *RefusedError) Unwrap() error { return e.Err }

// Check returns a [*RefusedError] if a context has a check that fails.
func Check(ctx context.Context) error {
	check, ok := ctx.Value(key{}).(func() error)
	if !ok {
		return nil
	}
	if err := check(); err != nil {
		return &RefusedError{err}
	}
	return nil
}

// Body has the check of a request's context called whenever the request's body is read. A body that
// ends early is no request to any server: it knows how long it was to be.
func Body(req *http.Request) *http.Request {
	if _, ok := req.Context().Value(key{}).(func() error); !ok || req.Body == nil || req.Body == http.NoBody {
		return req
	}
	checked := *req
	checked.Body = &body{req.Body, req.Context(), req.ContentLength}
	if again := req.GetBody; again != nil {
		checked.GetBody = func() (io.ReadCloser, error) {
			b, err := again()
			return &body{b, req.Context(), req.ContentLength}, err
		}
	}
	return &checked
}

type body struct {
	io.ReadCloser
	ctx  context.Context //nolint:containedctx // the request's own
	left int64
}

// Read checks nothing once all was read: the request is on its way then, and a last read only finds
// the end.
func (b *body) Read(p []byte) (int, error) {
	if b.left > 0 {
		if err := Check(b.ctx); err != nil {
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}
