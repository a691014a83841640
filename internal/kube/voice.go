package kube

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/internal/reply"
)

// ForeignError means that something other than the API server answered, such as a gateway, a portal
// or a cache, or that the answer is to another question. Nothing may be concluded from it, above
// all not that an object is absent.
type ForeignError struct {
	Code int    // of HTTP
	Got  string // what came, on one line
	Want string // what was asked for, or "" for any answer of an API server
}

func (e *ForeignError) Error() string {
	want := e.Want
	if want == "" {
		want = "an API server's answer"
	}
	return fmt.Sprintf("got %d %s, want %s", e.Code, e.Got, want)
}

// Hints is what can be done about it.
func (e *ForeignError) Hints() []string {
	return []string{"something between here and the API server answers in its place: look at the proxies and load balancers on the way"}
}

// final: a portal that asks for a log-in still asks for it in five minutes.
func (e *ForeignError) final() bool {
	return e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden || e.Code == http.StatusProxyAuthRequired
}

// WebhookError means that an admission or conversion webhook could not be called, or denied the
// request. It wraps the answer of the API server.
type WebhookError struct {
	Name   string
	Denied bool
	Err    error
}

func (e *WebhookError) Unwrap() error { return e.Err }
func (e *WebhookError) Error() string { return e.Err.Error() }

// Hints is what can be done about it.
func (e *WebhookError) Hints() []string {
	if e.Denied {
		return []string{fmt.Sprintf("webhook %q decides: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations shows whose it is", e.Name)}
	}
	return []string{fmt.Sprintf("webhook %q has to be reachable, or its failurePolicy Ignore: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations", e.Name)}
}

// GroupError means that the API server answers, but not the server of one aggregated API group,
// such as metrics. The other groups can be used.
type GroupError struct {
	Group, Version string
	Err            error
}

func (e *GroupError) Unwrap() error { return e.Err }

func (e *GroupError) Error() string {
	return fmt.Sprintf("the server of %s/%s does not answer: %s", e.Group, e.Version, reply.OneLine(e.Err.Error()))
}

// Hints is what can be done about it.
func (e *GroupError) Hints() []string {
	return []string{fmt.Sprintf("kubectl describe apiservice %s.%s says why", e.Version, e.Group)}
}

var (
	calledWebhook  = lazyregexp.New(`failed calling webhook "([^"]+)"`)
	convertWebhook = lazyregexp.New(`conversion webhook for (\S+), Kind=(\S+) failed`)
	deniedWebhook  = lazyregexp.New(`^admission webhook "([^"]+)" denied the request`)
)

// webhook returns the webhook that an answer is about, "" if none is.
func webhook(message string) (name string, denied bool) {
	if m := deniedWebhook.FindStringSubmatch(message); m != nil {
		return m[1], true
	}
	if m := calledWebhook.FindStringSubmatch(message); m != nil {
		return m[1], false
	}
	if m := convertWebhook.FindStringSubmatch(message); m != nil {
		return "conversion of " + m[2] + " in " + m[1], false
	}
	return "", false
}

// denied is the denial of a webhook. It may have any status. A status such as NotFound must not be
// taken for an answer of the API server.
func denied(name string, s metav1.Status) error {
	switch s.Code {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity:
	default:
		s.Code, s.Reason = http.StatusForbidden, metav1.StatusReasonForbidden
	}
	return &WebhookError{Name: name, Denied: true, Err: statusError(s)}
}

// plainHTTP is what an HTTPS server answers to a request by http://.
const plainHTTP = "Client sent an HTTP request to an HTTPS server"

// misconfigured returns an error if the URL of the server is wrong.
func misconfigured(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, plainHTTP):
		return &ConfigError{Err: errors.New("the server's URL begins with http:// and the server speaks TLS"), hints: []string{"change it to https://"}}
	case strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return &ConfigError{Err: errors.New("the server's URL begins with https:// and the server speaks no TLS"), hints: []string{"is it the API server's port"}}
	}
	return nil
}
