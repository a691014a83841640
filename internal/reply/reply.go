// Package reply is what the clients of servers share when they read what came back: whether
// the server can be trusted, what kept it from answering, and how it is quoted.
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

// Untrusted reports whether a connection failed because the other side's certificate is not one
// that is trusted. Waiting does not fix that.
func Untrusted(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid)
}

// ErrTime is the cause of an attempt whose time was over.
var ErrTime = errors.New("no answer in time")

// Cause drops the method and URL that net/http puts in front: whoever asked names what was
// asked of whom.
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
