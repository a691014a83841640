package kube

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/internal/reply"
)

// Error says which request failed, on one line, and why. It wraps the cause: a
// StatusError of apimachinery, an [*UnavailableError], an [*UnknownOutcomeError].
type Error struct {
	Verb      string // as RBAC names it: get, list, create, patch, delete
	Resource  string // plural, with the subresource: pods, pods/log
	Namespace string
	Name      string
	Err       error
}

func (e *Error) Unwrap() error { return e.Err }

// Error explains refusals that somebody can fix, and gives others in the words of the server.
func (e *Error) Error() string {
	var status apierrors.APIStatus
	reason, _ := e.Catch()
	if slices.Contains([]string{"UnknownOutcome", "Unavailable", "GroupUnavailable"}, reason) || !errors.As(e.Err, &status) {
		return e.request() + ": " + reply.OneLine(e.Err.Error())
	}
	s := status.Status()
	switch s.Code {
	case http.StatusUnauthorized:
		return e.request() + ": " + unauthorized
	case http.StatusForbidden:
		// A quota and an admission policy answer 403, too, with a text of their own.
		if user := deniedUser.FindStringSubmatch(s.Message); user != nil {
			return fmt.Sprintf("user %q may not %s %s%s (403)", user[1], e.Verb, e.Resource, e.where())
		}
	case http.StatusNotFound:
		if e.Name != "" && s.Details != nil && s.Details.Name == e.Name {
			return e.request() + ": not found (404)"
		}
	}
	text := e.request() + ": " + quotedObject.ReplaceAllString(reply.OneLine(s.Message), `"{…}"`)
	if s.Code != 0 {
		text += fmt.Sprintf(" (%d)", s.Code)
	}
	return text
}

const unauthorized = "the credentials in the kubeconfig were refused (401)"

// Hints is what can be done about it.
func (e *Error) Hints() []string {
	if reason, _ := e.Catch(); reason == string(metav1.StatusReasonUnauthorized) {
		return []string{"log in again: kubectl auth whoami shows whom the API server takes the kubeconfig's user for"}
	}
	var cause interface{ Hints() []string }
	if errors.As(e.Err, &cause) {
		return cause.Hints()
	}
	return nil
}

// General returns what is wrong with the server or the credentials for any request. It is "" if the
// error is about this request only.
func (e *Error) General() string {
	var unavailable *UnavailableError
	if errors.As(e.Err, &unavailable) {
		return unavailable.Server + " does not answer"
	}
	switch reason, _ := e.Catch(); reason {
	case string(metav1.StatusReasonUnauthorized):
		return unauthorized
	case "Credentials", "Untrusted":
		return reply.OneLine(e.Err.Error())
	}
	return ""
}

// Catch returns what a script gets of this error: a reason such as "NotFound", "Forbidden",
// "Conflict", "Unavailable" or "UnknownOutcome", and the HTTP status or 0.
func (e *Error) Catch() (reason string, code int) {
	var (
		unknown     *UnknownOutcomeError
		unavailable *UnavailableError
		refused     *CredentialError
		untrusted   *TrustError
		noKind      *NoKindError
		config      *ConfigError
		hook        *WebhookError
		group       *GroupError
		other       *ForeignError
		status      apierrors.APIStatus
	)
	if errors.As(e.Err, &status) {
		code = int(status.Status().Code)
	}
	switch {
	case errors.As(e.Err, &unknown):
		return "UnknownOutcome", code
	case errors.As(e.Err, &unavailable):
		return "Unavailable", code
	case errors.As(e.Err, &refused):
		return "Credentials", 0
	case errors.As(e.Err, &untrusted):
		return "Untrusted", 0
	case errors.As(e.Err, &noKind):
		return "NoKind", 0
	case errors.As(e.Err, &config):
		return "Configuration", 0
	case errors.As(e.Err, &group):
		return "GroupUnavailable", http.StatusServiceUnavailable
	case errors.As(e.Err, &hook) && !hook.Denied:
		return "Webhook", code
	case errors.As(e.Err, &other):
		return "Gateway", other.Code
	case status == nil:
		return "Unknown", 0
	}
	switch r := status.Status().Reason; r {
	case metav1.StatusReasonUnknown:
		return "Unknown", code
	case metav1.StatusReasonServerTimeout:
		return "Timeout", code
	default:
		return string(r), code
	}
}

// request names what was asked: delete pods "a" in namespace "b".
func (e *Error) request() string {
	s := e.Verb + " " + e.Resource
	if e.Name != "" {
		s += fmt.Sprintf(" %q", e.Name)
	}
	return s + e.where()
}

func (e *Error) where() string {
	if e.Namespace == "" {
		return ""
	}
	return fmt.Sprintf(" in namespace %q", e.Namespace)
}

// UnavailableError means that the API server gave no usable answer until the patience of the client
// was used up. It wraps the last cause.
type UnavailableError = patience.UnavailableError

// UnknownOutcomeError means that a write may have landed, or may still land. It was sent, its
// answer was lost, and reading the object back did not show the outcome. It wraps an
// [*UnavailableError] or the error of the context. It wraps no refusal of the API server, such as
// AlreadyExists, from which nothing may be concluded.
type UnknownOutcomeError struct {
	Err error
}

func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

func (e *UnknownOutcomeError) Error() string {
	return "it is not known whether the change was made: " + reply.OneLine(e.Err.Error())
}

// NoKindError means that the API server does not know a kind, or that no version was given for a
// kind that isn't built in.
type NoKindError struct {
	APIVersion, Kind string
	hint             string
}

func (e *NoKindError) Error() string {
	s := fmt.Sprintf("unknown kind %q", e.Kind)
	if e.APIVersion != "" {
		s += fmt.Sprintf(" in %q", e.APIVersion)
	}
	return s
}

// Hints is what can be done about it.
func (e *NoKindError) Hints() []string { return []string{e.hint} }

// CredentialError means that the credential plugin of the kubeconfig failed. Nothing was sent. The
// call is not repeated, since that would run a broken command for minutes.
type CredentialError struct{ Err error }

func (e *CredentialError) Error() string { return reply.OneLine(reply.Cause(e.Err).Error()) }
func (e *CredentialError) Unwrap() error { return e.Err }

// Hints is what can be done about it.
func (e *CredentialError) Hints() []string {
	return []string{"run the command in the kubeconfig's users section: it has to end by itself, and print credentials"}
}

// TrustError means that the server's certificate is not what the kubeconfig says.
type TrustError struct {
	Proxy bool // it is the certificate of a proxy on the way, and says nothing of the cluster
	Err   error
}

func (e *TrustError) Error() string {
	text := reply.OneLine(reply.Cause(e.Err).Error())
	if e.Proxy {
		text = "the proxy on the way to the API server: " + text
	}
	return text
}
func (e *TrustError) Unwrap() error { return e.Err }

// Hints is what can be done about it.
func (e *TrustError) Hints() []string {
	if e.Proxy {
		return []string{"look at HTTPS_PROXY and at the kubeconfig's proxy-url; this machine has to trust the proxy's certificate"}
	}
	return []string{"compare the kubeconfig's certificate-authority with that of the cluster: kubectl get --raw /version"}
}

// deniedUser matches the text of the API server's authorizer.
var deniedUser = lazyregexp.New(`User "([^"]*)" cannot \S+ `)

// noValues matches messages of the API server about a Secret that can't contain its values.
var noValues = lazyregexp.New(`User "[^"]*" cannot \S+ |^secrets "[^"]*" is forbidden: exceeded quota: `)

// quotedObject matches the part of an invalid object that the server repeats. It may be secret.
var quotedObject = lazyregexp.New(`"\{.*\}"`)
