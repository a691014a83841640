// Package reply has what the clients of servers share when they read an answer: whether the server
// can be trusted, why it did not answer, and how it is quoted.
package reply

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
)

// OneLine puts a text on one line.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Untrusted reports whether a connection failed because the certificate of the other side is not
// trusted. Waiting does not help.
func Untrusted(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid)
}

// ErrTime is the cause if an attempt has reached its time limit.
var ErrTime = errors.New("no answer in time")

// Cause removes the method and URL that net/http puts before an error: the caller says what was
// asked of which server.
func Cause(err error) error {
	var inner *url.Error
	switch {
	case errors.As(err, &inner) && inner.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return ErrTime
	case inner != nil:
		return inner.Err
	}
	return err
}
