package kube

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/ebb-chaos/ebb/internal/credential"
	"github.com/ebb-chaos/ebb/internal/limits"
	"github.com/ebb-chaos/ebb/internal/patience"
)

// Object is a Kubernetes object as JSON has it: maps, slices, strings, bools, nil,
// int64 and float64.
type Object = map[string]any

// Options configure [New]. The zero value is fine.
type Options struct {
	// Patience is how long calls wait in one outage, for an API server that gives no usable answer.
	// Calls that wait at the same time share it. Default 5 minutes.
	Patience time.Duration
	// TotalPatience limits the time of all outages together, so that a replay comes to an end. 0
	// means no limit.
	TotalPatience time.Duration
	// MutationTimeout is sent with each request that changes something: the server gives the
	// request up after that time. Default 10 s.
	MutationTimeout time.Duration
	// Logger gets messages about waiting and about lost answers. Default: no log.
	Logger     *slog.Logger
	firstPause time.Duration // see [patience.Options]
	// UserAgent names the program in the API server's audit log. Default: the
	// configuration's, or the executable's name, client-go's version and the platform.
	UserAgent string
}

const (
	defaultReadTimeout = 15 * time.Second
	// slack is how much longer than the server the client waits. After that time the server answers
	// "timed out", which says more than no answer.
	slack = 2 * time.Second
)

// Client talks to one API server. It is safe for concurrent use.
type Client struct {
	config          *rest.Config
	http            *http.Client
	rest            *rest.RESTClient
	log             *slog.Logger
	patience        *patience.Patience
	plugin          plugin
	mutationTimeout time.Duration
	readTimeout     time.Duration

	throttled atomic.Int64 // answers that said so
	answers   atomic.Int64 // of the server, of all kinds
	answering atomic.Int64 // nanoseconds that they took

	mu         sync.Mutex
	clusterUID string
	discovered map[string][]Resource // by apiVersion
}

// New makes a client of a configuration, which it copies. It sends no request.
func New(config *rest.Config, o Options) (*Client, error) {
	config = rest.CopyConfig(config)
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	// The server limits its load itself (API Priority and Fairness). client-go's default of 5
	// requests a second would only make an undo slow.
	config.QPS = -1
	if o.UserAgent != "" {
		config.UserAgent = o.UserAgent
	}
	// The first wrapper is the one next to the network, so it sees the headers of credential
	// plugins, too.
	wrap := config.WrapTransport
	config.WrapTransport = credential.Transport
	if wrap != nil {
		config.Wrap(wrap)
	}
	config = dynamic.ConfigFor(config)

	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, &ConfigError{Err: err}
	}
	// The bearer token is put on each request, also on one that follows a redirect.
	httpClient.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme || len(via) > 9 {
			return http.ErrUseLastResponse
		}
		return nil
	}
	restClient, err := rest.UnversionedRESTClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, &ConfigError{Err: err}
	}
	return &Client{
		config: config,
		http:   httpClient,
		rest:   restClient,
		log:    log,
		patience: patience.New(patience.Options{
			Server: "API server " + printable(config.Host), Each: o.Patience, Total: o.TotalPatience, FirstPause: o.firstPause, Log: log,
		}),
		mutationTimeout: orDefault(o.MutationTimeout, limits.Request),
		readTimeout:     defaultReadTimeout,
		discovered:      map[string][]Resource{},
	}, nil
}

// Close closes idle connections. A closed client still works.
func (c *Client) Close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// Waited returns how long the client has waited for its API server so far.
func (c *Client) Waited() time.Duration { return c.patience.Waited() }

// Load says how busy the API server is, by its answers so far.
type Load struct {
	Throttled int64         // answers that said that there were too many requests
	Answers   int64         // all that were the server's
	Took      time.Duration // all of them together, from the request to the end of the answer
}

// Load returns that of the server.
func (c *Client) Load() Load {
	return Load{c.throttled.Load(), c.answers.Load(), time.Duration(c.answering.Load())}
}

// Server returns the API server's URL, for messages.
func (c *Client) Server() string { return printable(c.config.Host) }

// printable is a URL without the password that somebody may have written into it.
func printable(host string) string {
	if u, err := url.Parse(host); err == nil && u.User != nil {
		return u.Redacted()
	}
	return host
}

// RESTConfig returns a copy of the configuration, for what is not a plain request, such as exec.
// The caller has to set deadlines and to retry.
func (c *Client) RESTConfig() *rest.Config { return rest.CopyConfig(c.config) }

// ClusterUID returns the UID of the namespace kube-system, which identifies the cluster. If it
// can't be read, it returns "" and the error.
func (c *Client) ClusterUID(ctx context.Context) (string, error) {
	c.mu.Lock()
	uid := c.clusterUID
	c.mu.Unlock()
	if uid != "" {
		return uid, nil
	}
	ns, err := c.Get(ctx, Resource{Version: "v1", Kind: "Namespace", Plural: "namespaces"}, "", "kube-system")
	if err == nil && Meta(ns).GetUID() == "" {
		err = errors.New("the namespace kube-system has no UID: this is no API server")
	}
	if err != nil {
		return "", err
	}
	uid = string(Meta(ns).GetUID())
	c.mu.Lock()
	c.clusterUID = uid
	c.mu.Unlock()
	return uid, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
