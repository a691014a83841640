// Package credential removes credentials from answers, so that ebb never prints them.
//
// Use [Transport] under a client whose answers go into errors, or [Scrub] on an answer that was
// read already. Both remove the credentials where an answer enters the program, so no log, report
// or version file has to be checked later.
//
// Don't use it as the only protection. It is made for servers that repeat a request in an error:
// proxies that print the headers, and AWS when a signature does not match. A server can return a
// credential in forms that are not recognized.
//
// Guarantees: no body and no warning that Transport returns contains the bearer token, the password
// or the session token of its request, neither as it is nor escaped for a URL. This holds for
// credentials of 6 bytes and more. Shorter ones would match any text.
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

// Redacted replaces a credential.
const Redacted = "(redacted)"

const (
	shortest = 6
	// mostAnswer limits the memory that an answer can take. A page of a list is far shorter.
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

// Transport removes the credentials from the answers of base. It must be next to the network, since
// it has to see the headers as they are sent. It reads each answer to its end first, so don't use
// it for streams.
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
	// If the answer broke off, the reader gets the same error after the part that came.
	resp.Body = &answer{bytes.NewReader(scrubbed), scrubbed, err}
	return resp, nil
}

// buffers are reused. The length of an answer is not known before, and a page of a list may have a
// megabyte.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Whole is the body of an answer that is already in memory.
type Whole interface {
	// All returns what was not read yet, and how the reading from the network ended.
	All() ([]byte, error)
}

// answer is a body that was read, with the error of the reading.
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
