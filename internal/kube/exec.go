package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	protocol "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	clientspdy "k8s.io/client-go/transport/spdy"
	clientexec "k8s.io/client-go/util/exec"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"github.com/ebb-chaos/ebb/internal/lazyregexp"
	"github.com/ebb-chaos/ebb/internal/patience"
	"github.com/ebb-chaos/ebb/internal/permit"
)

// maxOutput limits each output of a command. A script reads a few lines, and a command that prints
// without end must not fill the memory.
const maxOutput = 1 << 20

// pingPeriod is how often an idle SPDY connection is checked.
const pingPeriod = 5 * time.Second

// ExecOptions say what to run where.
type ExecOptions struct {
	Namespace, Pod string
	Container      string // empty: the pod's only one
	Command        []string
	Stdin          string
}

// ExecResult is the result of a command that ran to its end. Each output is cut after 1 MiB.
type ExecResult struct {
	Stdout, Stderr string
	Code           int
}

// Exec runs a command in a container and waits for its end. An exit code other than 0 is no error.
//
// If the command surely was not started, Exec tries again until the patience of the client is used
// up. If it may have been started, an error is an [*UnknownOutcomeError]: the command is not
// repeated, and it is not known how far it came. The command may go on after the end of the
// context.
func (c *Client) Exec(ctx context.Context, o ExecOptions) (ExecResult, error) {
	r := Resource{Version: "v1", Kind: "Pod", Plural: "pods", Namespaced: true}
	if err := checkObject(r, o.Namespace, o.Pod); err != nil {
		return ExecResult{}, err
	}
	if len(o.Command) == 0 {
		return ExecResult{}, errors.New("exec: the command is empty")
	}
	q := c.request("create", http.MethodPost, r, o.Namespace, o.Pod)
	q.subresource, q.name = "exec", o.Pod

	waiting := c.patience.Begin()
	defer waiting.End()
	for {
		started := time.Now()
		result, err := c.execOnce(ctx, q, o, waiting)
		if err == nil {
			c.patience.Answered(ctx)
			return result, nil
		}
		if isOver(ctx) {
			return result, q.cancelled(ctx)
		}
		if perr := permanent(err); perr != nil {
			return result, q.fail(perr)
		}
		m := notStarted(err)
		switch {
		case m != nil:
			if err := waiting.Again(ctx, *m, started); err != nil {
				if ctx.Err() != nil {
					return result, q.cancelled(ctx)
				}
				return result, q.fail(err)
			}
		case refused(err) != nil:
			if isStatus(refused(err)) {
				c.patience.Answered(ctx)
			}
			return result, q.fail(refused(err))
		case neverBegan(err):
			c.patience.Answered(ctx)
			return result, q.fail(err)
		default:
			return result, q.fail(&UnknownOutcomeError{fmt.Errorf("the end of the command was not seen: %w", err)})
		}
	}
}

// isOver reports whether a context has ended. While a connection is being upgraded, it has the
// deadline of its context, and its timer may be the first to notice that.
func isOver(ctx context.Context) bool {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

// execOnce makes one attempt.
func (c *Client) execOnce(ctx context.Context, q request, o ExecOptions, w *patience.Wait) (ExecResult, error) {
	// client-go logs lost connections to stderr. Here the caller reports them.
	ctx = klog.NewContext(ctx, klog.Logger{})
	req := c.rest.Post().AbsPath("api", "v1", "namespaces", o.Namespace, "pods", o.Pod, "exec")
	for _, word := range o.Command {
		req.Param("command", word)
	}
	req.Param("stdout", "true").Param("stderr", "true")
	if o.Container != "" {
		req.Param("container", o.Container)
	}
	var stdout, stderr limited
	streams := remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}
	if o.Stdin != "" {
		req.Param("stdin", "true")
		streams.Stdin = strings.NewReader(o.Stdin)
	}
	config := c.RESTConfig()
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { return upgradeInTime(ctx, rt, w.Limit(c.readTimeout)) })
	socket, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, req.URL().String())
	if err != nil {
		return ExecResult{}, err
	}
	ended, err := within(ctx, func() error { return socket.StreamWithContext(ctx, streams) })
	if err == nil {
		err = ended
	}
	if httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) {
		// API servers before 1.31 and some proxies know only SPDY, and a user without the right to
		// get pods/exec may use only that. Nothing was started yet.
		if err = permit.Check(ctx); err == nil {
			err = c.execSPDY(ctx, q, req.URL(), streams)
		}
	}
	if err != nil && isOver(ctx) {
		return ExecResult{}, err // what was given up may still write
	}
	result := ExecResult{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit clientexec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		result.Code, err = exit.ExitStatus(), nil
	}
	return result, err
}

func (c *Client) execSPDY(ctx context.Context, q request, target *url.URL, streams remotecommand.StreamOptions) error {
	config := c.RESTConfig()
	certificates, err := rest.TLSConfigFor(config)
	if err != nil {
		return err
	}
	proxy := http.ProxyFromEnvironment
	if config.Proxy != nil {
		proxy = config.Proxy
	}
	roundTripper, err := spdy.NewRoundTripperWithConfig(spdy.RoundTripperConfig{TLS: certificates, Proxier: proxy, PingPeriod: pingPeriod})
	if err != nil {
		return err
	}
	transport, err := rest.HTTPWrappersForConfig(config, roundTripper)
	if err != nil {
		return err
	}
	status := &statusUpgrader{UpgradeRoundTripper: roundTripper, request: q}
	// The protocols before 4 have no exit codes.
	executor, err := remotecommand.NewSPDYExecutorForProtocols(transport, clientspdy.NewUpgraderForStreaming(status), http.MethodPost, target,
		protocol.StreamProtocolV5Name, protocol.StreamProtocolV4Name)
	if err != nil {
		return err
	}
	ended, err := within(ctx, func() error { return executor.StreamWithContext(ctx, streams) })
	if err == nil {
		err = ended
	}
	if err == nil && !status.received() {
		return errors.New("it ended without the command's status")
	}
	return err
}

// upgradeInTime limits how long a server may take to begin an exec. The exec itself may last for
// hours. A command that changes something is begun only while that is permitted.
func upgradeInTime(caller context.Context, rt http.RoundTripper, limit time.Duration) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if err := permit.Check(caller); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		return rt.RoundTrip(r.WithContext(ctx))
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (rt roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return rt(r) }

// notStarted returns a miss for an error that came before the command can have been started, and
// that may end by waiting.
func notStarted(err error) *patience.Miss {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return &patience.Miss{Reason: failureReason(err), Err: err}
	}
	status := refused(err)
	var other *ForeignError
	switch {
	case errors.As(status, &other):
		if other.final() {
			return nil
		}
	case status == nil || !apierrors.IsTooManyRequests(status) && !apierrors.IsServiceUnavailable(status):
		return nil
	}
	m := &patience.Miss{Reason: failureReason(status), Err: status}
	if seconds, ok := apierrors.SuggestsClientDelay(status); ok {
		m.After = time.Duration(seconds) * time.Second
	}
	return m
}

// refused returns the answer of an API server that did not start a command.
func refused(err error) error {
	var upgrade *httpstream.UpgradeFailureError
	var status *apierrors.StatusError
	var other *ForeignError
	if !errors.As(err, &upgrade) {
		return nil
	}
	if errors.As(upgrade.Cause, &status) { // As does not look into it by itself
		return status
	}
	if errors.As(upgrade.Cause, &other) {
		return other
	}
	return upgrade
}

// notBegun matches the messages of container runtimes about a command that they could not start.
// Such a message comes after the connection was made, as the result of a command does.
var notBegun = lazyregexp.New(`failed to (create|start) exec|unable to start container process|OCI runtime exec failed|` +
	`container not found|is not created or running|container is not running|container is in CONTAINER_EXITED state|` +
	`cannot exec in a (stopped|deleted|paused) (container|state)|no running task found|` +
	`executable file .* not found in \$PATH`)

// outOfTime matches their messages after a timeout: the command may still start.
var outOfTime = lazyregexp.New(`(?i)deadline exceeded|timed? ?out|context canceled|connection reset|closed`)

// neverBegan reports whether the container runtime said that it started nothing.
func neverBegan(err error) bool {
	var status *apierrors.StatusError
	if !errors.As(err, &status) || !apierrors.IsInternalError(status) {
		return false
	}
	text := status.ErrStatus.Message
	return notBegun.MatchString(text) && !outOfTime.MatchString(text)
}

// A statusUpgrader makes connections that record whether the server sent the status of the command.
// client-go takes any end of a SPDY connection for the end of a command with code 0.
type statusUpgrader struct {
	httpstream.UpgradeRoundTripper
	request request
	mu      sync.Mutex
	has     bool
}

func (u *statusUpgrader) received() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.has
}

func (u *statusUpgrader) NewConnection(r *http.Response) (httpstream.Connection, error) {
	if r.StatusCode != http.StatusSwitchingProtocols {
		return nil, &httpstream.UpgradeFailureError{Cause: u.request.refusal(r)}
	}
	conn, err := u.UpgradeRoundTripper.NewConnection(r)
	if err != nil {
		return nil, &httpstream.UpgradeFailureError{Cause: err}
	}
	return &statusConnection{conn, u}, nil
}

// refusal reads why there is no upgrade. client-go makes a text of it.
func (q request) refusal(r *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("%s: %w", r.Status, err)
	}
	answer := response{code: r.StatusCode, header: r.Header, body: body}
	if r.StatusCode < 300 {
		return foreign(answer, "an upgrade of the connection")
	}
	_, err = q.judge(answer)
	return err
}

type statusConnection struct {
	httpstream.Connection
	upgrader *statusUpgrader
}

func (c *statusConnection) CreateStream(h http.Header) (httpstream.Stream, error) {
	s, err := c.Connection.CreateStream(h)
	if err != nil || h.Get(corev1.StreamType) != corev1.StreamTypeError {
		return s, err
	}
	return &statusStream{s, c.upgrader}, nil
}

type statusStream struct {
	httpstream.Stream
	upgrader *statusUpgrader
}

func (s *statusStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if n > 0 {
		s.upgrader.mu.Lock()
		s.upgrader.has = true
		s.upgrader.mu.Unlock()
	}
	return n, err
}

// limited keeps the beginning of what is written to it. A stream may still write after its
// connection was given up.
type limited struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if room := maxOutput - l.text.Len(); room > 0 {
		l.text.Write(p[:min(room, len(p))]) // a Builder's Write has no error
	}
	return len(p), nil
}

func (l *limited) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// within returns what do returns, or the error of the context if that ends first. It is needed
// since client-go waits for a credential plugin and for the answer to a SPDY upgrade whatever the
// context says. What was given up ends by itself, or with the process.
func within[T any](ctx context.Context, do func() T) (T, error) {
	done := make(chan T, 1)
	go func() { done <- do() }()
	select {
	case v := <-done:
		return v, nil
	case <-ctx.Done():
	}
	// Both may have happened, and an answer says more. An answer that the end of the context caused
	// comes soon.
	select {
	case v := <-done:
		return v, nil
	case <-time.After(promptly):
		var none T
		return none, ctx.Err()
	}
}

// promptly is how soon what listens to a context ends with it.
const promptly = 500 * time.Millisecond
