package cloudapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ebb-chaos/ebb/internal/credential"
	"github.com/ebb-chaos/ebb/internal/permit"
	"github.com/ebb-chaos/ebb/internal/reply"
)

// mostAnswer is the maximal length of an answer. A page of a listing is far shorter.
const mostAnswer = 16 << 20

// Doer sends an HTTP request; [*http.Client] is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Answer is the answer of a server.
type Answer struct {
	Status int
	Body   []byte
	After  time.Duration // the pause before the next attempt that the server asked for, or 0
}

// Send makes one attempt. Its error is a [*Retry], or an [*Error] if waiting does not help. If the
// context of the request has a check ([permit.With]) and the check fails, the request is not sent.
func Send(client Doer, req *http.Request) (*Answer, error) {
	if err := permit.Check(req.Context()); err != nil {
		return nil, withheld(err)
	}
	// As soon as there is a connection, the request may have been sent. Without one, it was not.
	var sent atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	}))
	resp, err := client.Do(permit.Body(req))
	if err != nil {
		return nil, transport(err, sent.Load())
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	if err == nil && len(body) > mostAnswer {
		err = fmt.Errorf("the answer is longer than %d bytes", mostAnswer)
	}
	if err != nil {
		return nil, transport(err, true)
	}
	answer := &Answer{Status: resp.StatusCode, Body: credential.Scrub(body, req.Header)}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		answer.After = time.Duration(seconds) * time.Second
	}
	return answer, nil
}

// transport distinguishes a server that is down from one that must not be used.
func transport(err error, sent bool) error {
	var refused *permit.RefusedError
	if errors.As(err, &refused) {
		return withheld(refused)
	}
	cause := reply.Cause(err)
	if reply.Untrusted(err) {
		return &Error{Call: "connect", Reason: Untrusted, Message: cause.Error(), Err: cause}
	}
	return &Retry{Err: cause, Sent: sent}
}

// withheld returns the error of a request that was not sent.
func withheld(err error) error {
	return &Error{Call: "send", Reason: Withheld, Message: err.Error(), Err: err}
}

// Transient reports whether another attempt makes sense after a status, and whether the request may
// have been carried out.
func Transient(status int) (again, sent bool) {
	switch status {
	case http.StatusTooManyRequests:
		return true, false
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, true
	}
	return false, false
}
