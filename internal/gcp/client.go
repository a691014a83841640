package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
	"github.com/ebb-chaos/ebb/internal/reply"
)

// Options configure [Open].
type Options struct {
	// Patience is how long calls wait in one outage, for a cloud that gives no usable answer.
	// Default 5 minutes. TotalPatience limits all outages together. 0 means no limit.
	Patience, TotalPatience time.Duration
	// Logger gets messages about waiting. Default: no log.
	Logger *slog.Logger
	// UserAgent names the program in the project's audit log.
	UserAgent string
	// Source finds the credentials. It is called by the first call that needs them, and again until
	// it succeeds. Its context lasts as long as the client, and contains the HTTP client for token
	// servers. Default: application default credentials.
	Source func(context.Context) (oauth2.TokenSource, error)
}

// Client talks to Compute Engine. It is safe for concurrent use.
type Client struct {
	*cloudapi.Asker
	userAgent string
	endpoint  string // with a slash at its end
	err       error  // what is wrong with it
	http      *http.Client
	tokens    *http.Client // for the servers of tokens
	search    func(context.Context) (oauth2.TokenSource, error)

	mu     sync.Mutex
	source oauth2.TokenSource // nil until credentials were found
}

const (
	endpointVariable = "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"
	defaultEndpoint  = "https://compute.googleapis.com/compute/v1/"
	scope            = "https://www.googleapis.com/auth/compute"
	// tokenLimit limits a request for a token, which takes no context.
	tokenLimit = 10 * time.Second
)

// Open returns a client. It looks for no credentials yet and sends nothing.
func Open(o Options) *Client {
	if o.Source == nil {
		o.Source = DefaultSource
	}
	endpoint := os.Getenv(endpointVariable)
	if endpoint == "" {
		endpoint = defaultEndpoint
	}
	// A wrong endpoint is an error of the first call, so that it does not stop those who don't use
	// Compute Engine.
	var unusable error
	if target, err := url.Parse(endpoint); err != nil || target.Host == "" {
		unusable = fmt.Errorf("%s: got %q, want a URL such as %s", endpointVariable, endpoint, defaultEndpoint)
	} else if target.Path == "" || target.Path == "/" {
		endpoint = strings.TrimSuffix(endpoint, "/") + "/compute/v1/"
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute,
		// The next attempts must not get a connection that died silently.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 5 * time.Second},
	}
	// A redirect could take the token elsewhere.
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		Asker:     cloudapi.NewAsker("Compute Engine", cloudapi.Options{Patience: o.Patience, TotalPatience: o.TotalPatience, Logger: o.Logger}),
		userAgent: o.UserAgent,
		endpoint:  strings.TrimSuffix(endpoint, "/") + "/",
		err:       unusable,
		http:      &http.Client{Transport: transport, CheckRedirect: refuse},
		tokens:    &http.Client{Transport: transport, Timeout: tokenLimit},
		search:    o.Source,
	}
}

// Close closes idle connections. A closed client still works.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// token returns a valid token. Token sources take no context. If the context ends, the search goes
// on in the background until its own limit.
func (c *Client) token(ctx context.Context) (*oauth2.Token, error) {
	type result struct {
		token *oauth2.Token
		err   error
	}
	found := make(chan result, 1)
	go func() {
		source, err := c.find()
		if err != nil {
			found <- result{nil, err}
			return
		}
		token, err := source.Token()
		found <- result{token, err}
	}()
	select {
	case r := <-found:
		if r.err != nil {
			return nil, tokenError(r.err)
		}
		return r.token, nil
	case <-ctx.Done():
		return nil, &cloudapi.Retry{Err: errors.New("the credentials did not come in time")}
	}
}

// DefaultSource finds the operator's credentials where Google's own tools look for them.
func DefaultSource(ctx context.Context) (oauth2.TokenSource, error) {
	found, err := google.FindDefaultCredentials(ctx, scope)
	if err != nil {
		return nil, err
	}
	return found.TokenSource, nil
}

// find looks for credentials until there are some.
func (c *Client) find() (oauth2.TokenSource, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.source != nil {
		return c.source, nil
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, c.tokens)
	found, err := c.search(ctx)
	if err != nil {
		return nil, err
	}
	c.source = oauth2.ReuseTokenSource(nil, found)
	return c.source, nil
}

// tokenError distinguishes a token server that does not answer from credentials that are refused.
func tokenError(err error) error {
	var refused *oauth2.RetrieveError
	var network *url.Error
	message := err.Error()
	switch {
	case errors.As(err, &refused):
		if again, _ := cloudapi.Transient(refused.Response.StatusCode); again {
			return &cloudapi.Retry{Err: fmt.Errorf("the token server answers %s", refused.Response.Status)}
		}
		// The body of the answer must not be logged.
		message = fmt.Sprintf("refused with status %d: %s %s", refused.Response.StatusCode, refused.ErrorCode, refused.ErrorDescription)
	case errors.As(err, &network):
		return &cloudapi.Retry{Err: fmt.Errorf("the token server: %w", network.Err)}
	case strings.HasPrefix(message, "oauth2: cannot fetch token: "):
		// How the library words a connection that failed, where it keeps no type.
		return &cloudapi.Retry{Err: errors.New("the token server does not answer")}
	}
	message = reply.OneLine(message)
	return &cloudapi.Error{
		Call: "gcp credentials", Reason: cloudapi.Credentials, Err: errors.New(message),
		Message: "none that work: tried GOOGLE_APPLICATION_CREDENTIALS, then gcloud's application default credentials, then the metadata server: " + message,
		Hint:    "log in: gcloud auth application-default login, or set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key",
	}
}

// call is one request.
type call struct {
	name   string // "instances.stop"
	thing  string // for errors
	method string
	path   string // below the endpoint, escaped
	query  url.Values
}

// do makes a request until its answer is final, and reads it into out.
func (c *Client) do(ctx context.Context, q call, out any) error {
	if c.err != nil {
		return c.err
	}
	return c.Ask(ctx, func(ctx context.Context) error { return c.attempt(ctx, q, out) }, nil)
}

func (c *Client) attempt(ctx context.Context, q call, out any) error {
	token, err := c.token(ctx)
	if err != nil {
		return err
	}
	target := c.endpoint + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, target, nil)
	if err != nil {
		return &cloudapi.Error{Call: q.name, Thing: q.thing, Reason: "Unknown", Message: err.Error(), Err: err}
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")
	token.SetAuthHeader(req)
	answer, err := cloudapi.Send(c.http, req)
	if err != nil {
		return cloudapi.Name(err, q.name, q.thing)
	}
	if answer.Status != http.StatusOK {
		return q.refusal(answer)
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return &cloudapi.Retry{Err: fmt.Errorf("the answer can't be read: %w", err), Sent: true}
	}
	return nil
}

// refusal reads an answer that is an error.
func (q call) refusal(answer *cloudapi.Answer) error {
	var said struct {
		Error struct {
			Message string `json:"message"`
			Status  string `json:"status"`
			Errors  []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	e := &cloudapi.Error{Call: q.name, Thing: q.thing, Code: answer.Status, Reason: "unknown", Message: http.StatusText(answer.Status)}
	// A proxy's error is no JSON: then the status is all there is.
	if err := json.Unmarshal(answer.Body, &said); err == nil && said.Error.Message != "" {
		e.Message = said.Error.Message
		e.Reason = said.Error.Status
		if len(said.Error.Errors) > 0 {
			e.Reason = said.Error.Errors[0].Reason
		}
	}
	again, sent := cloudapi.Transient(answer.Status)
	switch {
	case answer.Status == http.StatusUnauthorized:
		e.Hint = "log in again: gcloud auth application-default login"
	case e.Reason == "rateLimitExceeded" || e.Reason == "userRateLimitExceeded":
		return &cloudapi.Retry{Err: e, After: answer.After} // its status is 403
	case answer.Status == http.StatusForbidden:
		e.Hint = "grant roles/compute.instanceAdmin.v1 to the account of the application default credentials"
	case again:
		return &cloudapi.Retry{Err: e, After: answer.After, Sent: sent}
	}
	return e
}
