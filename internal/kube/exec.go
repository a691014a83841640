package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"k8s.io/client-go/tools/remotecommand"
	clientexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// maxOutput bounds each of a command's outputs: a script reads a few lines, and a
// command that prints without end must not fill the memory.
const maxOutput = 1 << 20

// ExecOptions say what to run where.
type ExecOptions struct {
	Namespace, Pod string
	Container      string // empty: the pod's only one
	Command        []string
	Stdin          string
}

// ExecResult is what a command that ran to its end left.
type ExecResult struct {
	Stdout, Stderr string
	Code           int
}

// Exec runs a command in a container and waits for its end. A command that ends
// with another code than 0 is no error here. An error from the time that the command
// may have been started is an [*UnknownOutcomeError]: it is not repeated, and how far
// it came is not known.
func (c *Client) Exec(ctx context.Context, o ExecOptions) (ExecResult, error) {
	r := Resource{Version: "v1", Kind: "Pod", Plural: "pods", Namespaced: true}
	if err := checkObject(r, o.Namespace, o.Pod); err != nil {
		return ExecResult{}, err
	}
	if len(o.Command) == 0 {
		return ExecResult{}, errors.New("exec: the command is empty")
	}
	q := c.request("create", http.MethodPost, r, o.Namespace, o.Pod)
	q.subresource = "exec"

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
	// WebSocket is what API servers speak since 1.31; SPDY is for those before, and
	// for proxies that know no other.
	config := c.RESTConfig()
	socket, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, req.URL().String())
	if err != nil {
		return ExecResult{}, q.fail(err)
	}
	spdy, err := remotecommand.NewSPDYExecutor(config, http.MethodPost, req.URL())
	if err != nil {
		return ExecResult{}, q.fail(err)
	}
	executor, err := remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return ExecResult{}, q.fail(err)
	}
	err = executor.StreamWithContext(ctx, streams)
	result := ExecResult{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit clientexec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		result.Code = exit.ExitStatus()
	case ctx.Err() != nil:
		return result, q.cancelled(ctx)
	case err != nil && (isStatus(err) || httpstream.IsUpgradeFailure(err)):
		return result, q.fail(err) // refused before it was started
	case err != nil:
		return result, q.fail(&UnknownOutcomeError{fmt.Errorf("the connection to the command was lost: %w", err)})
	}
	return result, nil
}

// limited keeps the beginning of what is written to it.
type limited struct{ strings.Builder }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.Len(); room > 0 {
		l.Builder.Write(p[:min(room, len(p))]) // a Builder's Write has no error
	}
	return len(p), nil
}
