// Package credential keeps what ebb logs in with out of what ebb prints.
//
// Use [Transport] under a client whose answers go into errors, or [Scrub] on an answer that was
// read already. Both work on what came back for one request, at the place where it enters the
// program: no log, report or version file has to be looked at later.
//
// Avoid thinking of it as the only guard. A server can return what it was sent in a hundred
// disguises. It is there for those that repeat a request in an error: proxies that print the
// headers, AWS when a signature does not match.
//
// Promised: the bearer token, the password and the session token of a request are in no body and no
// warning that Transport returns for it, as they are or escaped for a URL. Lengths of at least 6
// bytes only: whatever is shorter would be found everywhere.
package credential

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Redacted stands where a credential was.
const Redacted = "(redacted)"

const (
	shortest = 6
	// mostAnswer bounds what a server can make us keep in memory. A page of a listing is far
	// shorter.
	mostAnswer = 128 << 20
)

// sent returns the credentials of a request.
func sent(header http.Header) []string {
	var found []string
	add := func(s string) {
		if len(s) < shortest {
			return
		}
		found = append(found, s)
		if escaped := url.QueryEscape(s); escaped != s {
			found = append(found, escaped)
		}
	}
	for _, value := range header.Values("Authorization") {
		scheme, rest, _ := strings.Cut(value, " ")
		if strings.HasPrefix(scheme, "AWS4-") {
			continue // a signature, which is worth nothing to anybody else
		}
		add(rest)
		if text, err := base64.StdEncoding.DecodeString(rest); err == nil && strings.EqualFold(scheme, "Basic") {
			_, password, _ := strings.Cut(string(text), ":")
			add(password)
		}
	}
	for _, value := range header.Values("X-Amz-Security-Token") {
		add(value)
	}
	return found
}

// Scrub returns text without the credentials of the request that it answers.
func Scrub(text []byte, request http.Header) []byte {
	for _, secret := range sent(request) {
		text = bytes.ReplaceAll(text, []byte(secret), []byte(Redacted))
	}
	return text
}

// Transport scrubs the answers that come through base, which has to be the last one before the
// network: it has to see the headers as they are sent. Answers are read to their end first, so it
// suits no stream.
func Transport(base http.RoundTripper) http.RoundTripper { return scrubber{base} }

type scrubber struct{ http.RoundTripper }

// WrappedRoundTripper lets client-go find the transport below, to close its connections.
func (s scrubber) WrappedRoundTripper() http.RoundTripper { return s.RoundTripper }

func (s scrubber) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err != nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, err
	}
	for i, warning := range resp.Header.Values("Warning") {
		resp.Header["Warning"][i] = string(Scrub([]byte(warning), req.Header))
	}
	buffer := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset()
	_, err = buffer.ReadFrom(io.LimitReader(resp.Body, mostAnswer+1))
	body := buffer.Bytes()
	if err == nil && len(body) > mostAnswer {
		err = fmt.Errorf("the answer is longer than %d bytes", mostAnswer)
	}
	closed := resp.Body.Close()
	if err == nil {
		err = closed
	}
	scrubbed := bytes.Clone(Scrub(body, req.Header))
	if len(scrubbed) != len(body) {
		resp.ContentLength = int64(len(scrubbed))
		resp.Header.Del("Content-Length")
	}
	// What broke off is broken for the reader too, after what came.
	resp.Body = &answer{bytes.NewReader(scrubbed), scrubbed, err}
	return resp, nil
}

// buffers are kept: an answer grows to a length that is not known before, a page of a list to a megabyte.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Whole is an answer's body that is in memory already.
type Whole interface {
	// All returns what was not read yet, and how the reading from the network ended.
	All() ([]byte, error)
}

// answer is a body that was read, and how the reading ended.
type answer struct {
	*bytes.Reader
	all []byte
	err error
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if errors.Is(err, io.EOF) && a.err != nil {
		err = a.err
	}
	return n, err
}

// All implements [Whole].
func (a *answer) All() ([]byte, error) {
	rest := a.all[len(a.all)-a.Len():]
	a.Reset(nil)
	return rest, a.err
}

// Close implements io.Closer. The network's body is closed already.
func (a *answer) Close() error { return nil }
