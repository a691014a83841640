// Package permit checks, at the last moment, whether a changing request may still be sent.
//
// A process that was stopped, or whose machine slept, continues where it was and does not know how
// long that took. This may be just before a request, after another process has taken over its
// execution. So the caller of a request puts a check into its context ([With]). Clients call the
// check when they begin to send ([Check]), and when the body of the request is written to the
// connection ([Body]).
//
// Avoid checks that take time: they are called while a connection is in use.
//
// Promised: a request whose check fails is not carried out. Only the moment between the check and
// the write to the connection, a few instructions, is not covered.
package permit

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

type key struct{}

// With returns a context for changing requests. They are sent only while check returns nil.
func With(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, key{}, check)
}

// RefusedError means that a request was not sent. It wraps the error of the check.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return fmt.Sprintf("the request was not sent: %v", e.Err) }

func (e *RefusedError) Unwrap() error { return e.Err }

// Check returns a [*RefusedError] if the context has a check and the check fails.
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

// Body lets every read of the request's body call the check of its context. If the body ends early,
// no server accepts the request, because its length was announced.
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
	ctx  context.Context //nolint:containedctx // that of the request
	left int64
}

// Read does not check after the last byte: the request was sent by then, and another read only
// returns the end.
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
