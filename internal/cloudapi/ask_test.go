package cloudapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("away")

// answers makes an attempt of the errors that it returns, one after the other.
func answers(errs ...error) (attempt func(context.Context) error, made func() int) {
	n := 0
	return func(context.Context) error {
		n++
		return errs[min(n, len(errs))-1]
	}, func() int { return n }
}

func TestAskAsksAgain(t *testing.T) {
	attempt, made := answers(&Retry{Err: errAway}, &Retry{Err: errAway, Sent: true}, nil)
	a := NewAsker("service", Options{Patience: time.Minute})
	if err := a.Ask(t.Context(), attempt, nil); err != nil || made() != 3 {
		t.Errorf("got %v after %d attempts, want nil after 3", err, made())
	}
	if a.Waited() == 0 {
		t.Error("waiting was not counted")
	}
}

func TestAskTakesAFinalAnswer(t *testing.T) {
	refused := &Error{Call: "Stop", Reason: "Denied", Code: 403, Message: "no"}
	attempt, made := answers(refused)
	err := NewAsker("service", Options{}).Ask(t.Context(), attempt, nil)
	if !errors.Is(err, refused) || Unknown(err) || made() != 1 {
		t.Errorf("got %v after %d attempts, want the refusal after 1", err, made())
	}
}

// A refusal says nothing about an earlier attempt that may have been carried out.
func TestAskDoubtsARefusalAfterALostAnswer(t *testing.T) {
	attempt, _ := answers(&Retry{Err: errAway, Sent: true}, &Error{Reason: "Denied", Code: 403})
	if err := NewAsker("service", Options{}).Ask(t.Context(), attempt, nil); !Unknown(err) {
		t.Errorf("got %v, want an unknown outcome", err)
	}
	attempt, _ = answers(&Retry{Err: errAway}, &Error{Reason: "Denied", Code: 403})
	if err := NewAsker("service", Options{}).Ask(t.Context(), attempt, nil); err == nil || Unknown(err) {
		t.Errorf("got %v, want the refusal: nothing had been sent before", err)
	}
}

func TestAskReadsBack(t *testing.T) {
	attempt, made := answers(&Retry{Err: errAway, Sent: true}, nil)
	landed := func(context.Context) (bool, error) { return true, nil }
	if err := NewAsker("service", Options{}).Ask(t.Context(), attempt, landed); err != nil || made() != 1 {
		t.Errorf("got %v after %d attempts, want nil after 1: it had landed", err, made())
	}
	attempt, made = answers(&Retry{Err: errAway, Sent: true}, nil)
	landed = func(context.Context) (bool, error) { return false, nil }
	if err := NewAsker("service", Options{}).Ask(t.Context(), attempt, landed); err != nil || made() != 2 {
		t.Errorf("got %v after %d attempts, want nil after 2: it had not landed", err, made())
	}
	attempt, _ = answers(&Retry{Err: errAway, Sent: true}, nil)
	landed = func(context.Context) (bool, error) { return false, errAway }
	if err := NewAsker("service", Options{}).Ask(t.Context(), attempt, landed); !Unknown(err) {
		t.Errorf("got %v, want an unknown outcome: nobody could look", err)
	}
}

func TestAskGivesUp(t *testing.T) {
	for _, sent := range []bool{false, true} {
		attempt, _ := answers(&Retry{Err: errAway, Sent: sent})
		err := NewAsker("service", Options{Patience: 300 * time.Millisecond}).Ask(t.Context(), attempt, nil)
		var e *Error
		if !errors.As(err, &e) || e.Reason != Unavailable || Unknown(err) != sent {
			t.Errorf("sent %t: got %v, want the service unavailable", sent, err)
		}
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := NewAsker("service", Options{}).Ask(ctx, func(context.Context) error {
		cancel()
		return &Retry{Err: errAway, Sent: true}
	}, nil)
	var e *Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &e) {
		t.Errorf("got %v, want the context's error, which no script can catch", err)
	}
}

// A server that takes a request and never answers costs an attempt's time, not for ever.
func TestAskLeavesASilentServer(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			<-release
		}
	}))
	defer server.Close()
	defer close(release)
	a := NewAsker("service", Options{Patience: 200 * time.Millisecond})
	a.limit = 50 * time.Millisecond
	err := a.Ask(t.Context(), func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			return err
		}
		_, err = Send(server.Client(), req)
		return err
	}, nil)
	if !Unknown(err) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("got %v, want an unknown outcome after no answer in time", err)
	}
}

func TestSend(t *testing.T) {
	send := func(client Doer, url string) (*Answer, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		return Send(client, req)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	server.Config.ErrorLog = nil
	answer, err := send(server.Client(), server.URL)
	if err != nil || answer.Status != 503 || answer.After != 7*time.Second {
		t.Errorf("got %+v, %v, want status 503 and a wish of 7s", answer, err)
	}
	untrusting := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var e *Error
	if _, err := send(untrusting, server.URL); !errors.As(err, &e) || e.Reason != Untrusted {
		t.Errorf("got %v, want the certificate refused for good", err)
	}
	// A port where nobody listens: the listener is closed before the request.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	var again *Retry
	if _, err := send(untrusting, "http://"+listener.Addr().String()); !errors.As(err, &again) || again.Sent {
		t.Errorf("got %v, want another attempt: nothing was sent", err)
	}
}

func TestPoll(t *testing.T) {
	a := NewAsker("service", Options{})
	n := 0
	seen, err := a.Poll(t.Context(), time.Minute, func(context.Context) (bool, error) { n++; return n == 3, nil })
	if !seen || err != nil || n != 3 || a.Waited() == 0 {
		t.Errorf("got %t, %v after %d looks, waited %s", seen, err, n, a.Waited())
	}
	if seen, err := a.Poll(t.Context(), 0, func(context.Context) (bool, error) { return false, nil }); seen || err != nil {
		t.Errorf("got %t, %v, want false at the limit", seen, err)
	}
	if _, err := a.Poll(t.Context(), time.Minute, func(context.Context) (bool, error) { return false, errAway }); !errors.Is(err, errAway) {
		t.Errorf("got %v, want the look's error", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := a.Poll(ctx, time.Minute, func(context.Context) (bool, error) { cancel(); return false, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestErrorIsOneLine(t *testing.T) {
	e := &Error{Call: "Stop", Thing: `instance "i"`, Reason: "Bad", Code: 400, Message: "a\nb"}
	if got, want := e.Error(), `Stop instance "i": a b (Bad, 400)`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// An open fate is what a script has to know, whatever led to it.
	var caught interface{ Catch() (string, int) }
	if !errors.As(fmt.Errorf("stop: %w", &UnknownOutcomeError{e}), &caught) {
		t.Fatal("an unknown outcome can't be caught")
	}
	if reason, _ := caught.Catch(); reason != UnknownOutcome {
		t.Errorf("got the reason %s", reason)
	}
}
