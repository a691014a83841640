package kube

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/internal/permit"
	"github.com/ebb-chaos/ebb/internal/reply"
)

// miss is an attempt without a usable answer, after which another attempt may succeed.
type miss struct {
	patience.Miss
	// doubt: the request may still be carried out.
	doubt bool
	// answered: the API server had ended its work on the request when it answered.
	answered bool
	// tries limits the attempts that end like this one. 0 means that only the patience limits them.
	tries int
}

// If a server gives the same answer this often, no other answer is expected.
const (
	internalTries = 5
	webhookTries  = 4
	groupTries    = 3
)

// missed returns a miss if another attempt may succeed, and nil if the answer is final. The caller
// has checked that the context has not ended.
func (q request) missed(a answer) *miss {
	if a.err == nil || permanent(a.err) != nil {
		return nil
	}
	m := &miss{Miss: patience.Miss{Reason: failureReason(a.err), After: a.after, Err: a.err}, doubt: a.sent}
	var other *ForeignError
	if errors.As(a.err, &other) {
		if other.final() {
			return nil
		}
		if other.Code == http.StatusServiceUnavailable && !builtInGroup(q.resource.Group) {
			m.tries = groupTries
		}
		return m
	}
	var status apierrors.APIStatus
	if !errors.As(a.err, &status) {
		return m
	}
	s := status.Status()
	if s.Details != nil {
		m.After = max(m.After, time.Duration(s.Details.RetryAfterSeconds)*time.Second)
	}
	switch s.Code {
	case http.StatusTooManyRequests: // turned away at the door
		m.doubt = false
		return m
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		if s.Code == http.StatusServiceUnavailable && !builtInGroup(q.resource.Group) {
			m.tries = groupTries
		}
	case http.StatusInternalServerError:
		m.tries = internalTries
		if name, _ := webhook(s.Message); name != "" {
			// It is called before anything is stored.
			m.tries, m.doubt = webhookTries, false
		}
		// After an error of the storage, the change may still be stored.
		m.answered = !storageTrouble.MatchString(s.Message)
	default:
		return nil
	}
	if q.subresource == "log" && s.Code != http.StatusServiceUnavailable {
		return nil // a log is the node's to give: these say that the node is down
	}
	return m
}

var storageTrouble = lazyregexp.New(`(?i)etcd|storage|timed? ?out|deadline|context canceled|leader`)

// tally counts equal answers to one call.
type tally struct {
	last  string
	times int
}

// over reports whether the same answer has come often enough.
func (t *tally) over(m *miss) bool {
	if m.Reason != t.last {
		t.last, t.times = m.Reason, 0
	}
	t.times++
	return m.tries > 0 && t.times >= m.tries
}

// permanent returns a typed error for a failure that waiting does not fix.
func permanent(err error) error {
	if wrong := misconfigured(err); wrong != nil {
		return wrong
	}
	if reply.Untrusted(err) {
		return &TrustError{Err: err, Proxy: fromProxy(err)}
	}
	var withheld *permit.RefusedError
	if errors.As(err, &withheld) {
		return withheld
	}
	var refused *CredentialError
	if errors.As(err, &refused) {
		return refused
	}
	// client-go has no type for a credential plugin that fails.
	if strings.HasPrefix(reply.Cause(err).Error(), "getting credentials:") {
		return &CredentialError{err}
	}
	return nil
}

// fromProxy reports whether a connection failed at a proxy, before there was one to the server.
func fromProxy(err error) bool {
	var connect *net.OpError
	return errors.As(err, &connect) && connect.Op == "proxyconnect"
}

// final is the error of an answer that another attempt would not change.
func (q request) final(a answer) error {
	if err := permanent(a.err); err != nil {
		return q.fail(err)
	}
	var status apierrors.APIStatus
	if errors.As(a.err, &status) && !builtInGroup(q.resource.Group) && status.Status().Code == http.StatusServiceUnavailable {
		return q.fail(&GroupError{Group: q.resource.Group, Version: q.resource.Version, Err: a.err})
	}
	var other *ForeignError
	if errors.As(a.err, &other) && !builtInGroup(q.resource.Group) && other.Code == http.StatusServiceUnavailable {
		return q.fail(&GroupError{Group: q.resource.Group, Version: q.resource.Version, Err: a.err})
	}
	if status != nil && status.Status().Code == http.StatusInternalServerError {
		if name, _ := webhook(status.Status().Message); name != "" {
			return q.fail(&WebhookError{Name: name, Err: a.err})
		}
	}
	return q.fail(a.err)
}
