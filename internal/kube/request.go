package kube

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/ebb-chaos/ebb/internal/credential"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/internal/permit"
	"github.com/ebb-chaos/ebb/internal/reply"
)

// request is a request, which may need several attempts.
type request struct {
	verb            string // for errors, as RBAC names it
	resource        Resource
	subresource     string
	namespace, name string

	method      string
	path        []string
	query       url.Values
	contentType string
	body        []byte
	limit       time.Duration // of one attempt
	mutates     bool
	text        bool   // the answer is no JSON
	accept      string // a form of the answer, "" for JSON as it is
	// expect returns what the answer is instead of what was asked for, or "" if it is right. Nil:
	// the answer has to be the object.
	expect func(Object) string
	// take reads an answer that is not JSON, and returns what came, as expect does. Nil: it is
	// JSON.
	take func(body []byte) string
}

// request fills in what follows from the object that is asked for.
func (c *Client) request(verb, method string, r Resource, namespace, name string) request {
	path := []string{"api", r.Version}
	if r.Group != "" {
		path = []string{"apis", r.Group, r.Version}
	}
	if namespace != "" {
		path = append(path, "namespaces", namespace)
	}
	path = append(path, r.Plural)
	if name != "" && method != http.MethodPost {
		path = append(path, name)
	}
	return request{
		verb: verb, resource: r, namespace: namespace, name: name,
		method: method, path: path, query: url.Values{}, limit: c.readTimeout,
	}
}

// mutation is a request that changes something. The server drops it after the mutation timeout, and
// the client waits a little longer for that answer.
func (c *Client) mutation(verb, method string, r Resource, namespace, name string) request {
	q := c.request(verb, method, r, namespace, name)
	q.mutates, q.limit = true, c.mutationTimeout+slack
	return q
}

// fail wraps an error of this request.
func (q request) fail(err error) *Error {
	resource := q.resource.Plural
	if q.subresource != "" {
		resource += "/" + q.subresource
	}
	return &Error{Verb: q.verb, Resource: resource, Namespace: q.namespace, Name: q.name, Err: err}
}

func (q request) String() string { return q.fail(nil).request() }

// cancelled is the error of a context that has ended. It is no [Error], so that no script can catch
// it.
func (q request) cancelled(ctx context.Context) error {
	return fmt.Errorf("%s: %w", q, ctx.Err())
}

// answer is the result of one attempt.
type answer struct {
	body   []byte
	object Object // nil for text
	err    error
	// sent: the request may have reached the server.
	sent  bool
	after time.Duration // the pause that the server asks for
}

// attempt sends the request once. The time in which a server is silent counts as waiting, so that
// it does not use up the time of a version file.
func (c *Client) attempt(ctx context.Context, q request, w *patience.Wait, started time.Time) answer {
	var began atomic.Bool
	defer w.Watch(ctx, started, func() string {
		if began.Load() {
			return "no answer for"
		}
		return "the kubeconfig's command for credentials has not ended for"
	})()
	a := c.send(ctx, q, w, &began)
	if apierrors.IsUnauthorized(a.err) && c.config.ExecProvider != nil {
		// The credentials may have expired early. After the 401, client-go gets new ones.
		a = c.send(ctx, q, w, &began)
	}
	return a
}

// send makes one attempt, without any retry of client-go's own. began is set when the
// credentials are there.
func (c *Client) send(caller context.Context, q request, w *patience.Wait, began *atomic.Bool) answer {
	limit := w.Limit(q.limit)
	ctx, cancel := context.WithTimeout(caller, limit)
	defer cancel()
	// client-go logs broken answers to stderr. Here the caller reports them.
	ctx = klog.NewContext(ctx, klog.Logger{})

	// Without a connection, nothing can have been sent. With one, the request may have been. The
	// credential plugin runs before a connection is asked for.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { began.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})

	target := c.rest.Verb(q.method).AbsPath(q.path...)
	for key, values := range q.query {
		for _, value := range values {
			target.Param(key, value)
		}
	}
	if q.mutates {
		target.Param("timeout", (limit - slack).String())
		if isDryRun(ctx) {
			target.Param("dryRun", metav1.DryRunAll)
		}
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target.URL().String(), bytes.NewReader(q.body))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("Accept", cmp.Or(q.accept, jsonType))
	if q.text {
		req.Header.Set("Accept", "*/*")
	}
	if q.body != nil {
		req.Header.Set("Content-Type", q.contentType)
	}
	r, err := c.plugin.do(caller, w.Limit(pluginLimit), began, func() response {
		if q.mutates { // the plugin took its time, and so may the connection
			if err := permit.Check(ctx); err != nil {
				return response{err: err}
			}
			req = permit.Body(req)
		}
		asked := time.Now()
		r := c.ask(req)
		if r.err == nil {
			c.answers.Add(1)
			c.answering.Add(int64(time.Since(asked)))
		}
		return r
	})
	if err == nil {
		err = r.err
	}
	for _, warning := range r.warnings {
		c.log.DebugContext(ctx, "API server warns: "+hideIn(reply.OneLine(warning), q.values()))
	}
	var withheld *permit.RefusedError
	a := answer{body: r.body, sent: sent.Load() && !errors.As(err, &withheld), after: r.after()}
	if err == nil {
		a.object, err = q.judge(r)
		if apierrors.IsTooManyRequests(err) {
			c.throttled.Add(1)
		}
	}
	a.err = err
	if err != nil && !isStatus(err) {
		// The next attempt must not get a connection that broke, hangs, or leads elsewhere.
		c.Close()
	}
	return a
}

// response is an answer that was not checked yet.
type response struct {
	code   int
	header http.Header
	body   []byte
	err    error // there is none

	warnings []string // beside it, such as deprecations
}

// ask makes one HTTP request. It does not use client-go's decoding, which makes NotFound of each
// 404, whoever sent it, and drops a body that it can't decode.
func (c *Client) ask(req *http.Request) response {
	resp, err := c.http.Do(req)
	if err != nil {
		return response{err: err}
	}
	var body []byte
	if whole, ok := resp.Body.(credential.Whole); ok {
		body, err = whole.All()
	} else {
		body, err = io.ReadAll(resp.Body)
	}
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	r := response{code: resp.StatusCode, header: resp.Header, body: body, err: err}
	warnings, _ := utilnet.ParseWarningHeaders(resp.Header["Warning"]) // what can't be read is no warning
	for _, warning := range warnings {
		if warning.Code == 299 && warning.Text != "" {
			r.warnings = append(r.warnings, warning.Text)
		}
	}
	return r
}

// after returns the pause that the server asks for before the next attempt.
func (r response) after() time.Duration {
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// asRefusal corrects answers that have a wrong status, and answers that contain too much: the API
// server and webhooks quote values of a Secret when they refuse it.
func asRefusal(q request, err error) error {
	err = withStatus(q, err)
	var status apierrors.APIStatus
	if q.resource.Group != "" || q.resource.Plural != "secrets" || !errors.As(err, &status) || noValues.MatchString(status.Status().Message) {
		return err
	}
	s := status.Status()
	s.Message = fmt.Sprintf("%s: its words are left out, since they may hold values of the secret", s.Reason)
	if s.Details != nil {
		s.Details = &metav1.StatusDetails{Name: s.Details.Name, RetryAfterSeconds: s.Details.RetryAfterSeconds}
	}
	return &apierrors.StatusError{ErrStatus: s}
}

// withStatus corrects the status of two answers: a mistake in an object that comes as an error of
// the server, and a conflict that comes as a mistake in the object.
func withStatus(q request, err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err
	}
	s := status.Status()
	if s.Code == http.StatusInternalServerError && strings.Contains(s.Message, "failed to create typed") {
		s.Reason, s.Code = metav1.StatusReasonInvalid, http.StatusUnprocessableEntity
		return &apierrors.StatusError{ErrStatus: s}
	}
	if s.Code != http.StatusUnprocessableEntity || s.Details == nil {
		return err
	}
	for _, cause := range s.Details.Causes {
		// Most kinds answer this to a patch with another UID.
		if cause.Field == "metadata.uid" {
			resource := schema.GroupResource{Group: q.resource.Group, Resource: q.resource.Plural}
			return apierrors.NewConflict(resource, q.name, errors.New("the object of that name has another UID: "+cause.Message))
		}
	}
	return err
}

// failureReason says why an attempt failed, with the HTTP status if there was one.
func failureReason(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		s := status.Status()
		return fmt.Sprintf("%d %s", s.Code, reply.OneLine(s.Message))
	}
	return reply.OneLine(reply.Cause(err).Error())
}

func isStatus(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// checkSegment refuses what would change the meaning of a URL. The worst is an empty name: it would
// delete all objects instead of one.
func checkSegment(what, s string) error {
	if s == "" {
		return fmt.Errorf("%s is empty", what)
	}
	if msgs := rest.IsValidPathSegmentName(s); len(msgs) > 0 {
		return fmt.Errorf("invalid %s %q: %s", what, s, msgs[0])
	}
	return nil
}

// checkPlace checks the resource and the namespace.
func checkPlace(r Resource, namespace string) error {
	switch {
	case r.Plural == "" || r.Version == "":
		return fmt.Errorf("resource of kind %q has no plural or version: use Resolve", r.Kind)
	case !r.Namespaced && namespace != "":
		return fmt.Errorf("kind %q has no namespace, got %q", r.Kind, namespace)
	case namespace != "":
		return checkSegment("namespace", namespace)
	}
	return nil
}

func checkObject(r Resource, namespace, name string) error {
	if err := checkPlace(r, namespace); err != nil {
		return err
	}
	if r.Namespaced && namespace == "" {
		return fmt.Errorf("kind %q needs a namespace, got none", r.Kind)
	}
	return checkSegment("name", name)
}
