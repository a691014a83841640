package kube

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// runningPod makes a pod in which commands can be run.
func runningPod(t testing.TB, c *Client, namespace, name string) {
	t.Helper()
	mustCreate(t, c, podKind, namespace, Object{
		"metadata": Object{"name": name},
		"spec":     Object{"containers": []any{Object{"name": "main", "image": "image"}, Object{"name": "side", "image": "image"}}},
	})
	eventually(t, "the pod runs", func() bool {
		pod, err := c.Get(t.Context(), podKind, namespace, name)
		if err != nil {
			t.Fatal(err)
		}
		return pod["status"].(Object)["phase"] == "Running"
	})
	r, err := c.Exec(t.Context(), command(namespace, name, "true"))
	if err != nil {
		t.Fatal(err)
	}
	if (sandboxtest.Result{Stderr: r.Stderr, Code: r.Code}).Unsupported() {
		t.Skipf("SKIPPED, NOTHING WAS TESTED: %s", r.Stderr)
	}
}

func command(namespace, pod string, words ...string) ExecOptions {
	return ExecOptions{Namespace: namespace, Pod: pod, Container: "main", Command: words}
}

func TestExec(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	for name, test := range map[string]struct {
		options ExecOptions
		want    ExecResult
	}{
		"outputs and code": {command(ns, "a", "sh", "-c", "echo out; echo err >&2; exit 3"), ExecResult{"out\n", "err\n", 3}},
		"no output":        {command(ns, "a", "true"), ExecResult{}},
		"words as they are": {command(ns, "a", "printf", "%s|", "", "a b", "$HOME", `"'\`, "ä\n", "--", "&x=y?#"),
			ExecResult{Stdout: "|a b|$HOME|\"'\\|ä\n|--|&x=y?#|"}},
		"stdin":             {ExecOptions{Namespace: ns, Pod: "a", Container: "side", Command: []string{"wc", "-c"}, Stdin: strings.Repeat("x", 300_000)}, ExecResult{Stdout: "300000\n"}},
		"stdin nobody asks": {ExecOptions{Namespace: ns, Pod: "a", Container: "main", Command: []string{"true"}, Stdin: strings.Repeat("x", 300_000)}, ExecResult{}},
		"no stdin":          {command(ns, "a", "wc", "-c"), ExecResult{Stdout: "0\n"}},
		"killed":            {command(ns, "a", "sh", "-c", "kill -9 $$"), ExecResult{Code: 137}},
		"no such command":   {command(ns, "a", "no-such-command"), ExecResult{Stderr: "command \"no-such-command\" not found: the sandbox has a list of what there is\n", Code: 127}},
		"what it leaves":    {command(ns, "a", "sh", "-c", "setsid sleep 3600 & echo started"), ExecResult{Stdout: "started\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := c.Exec(t.Context(), test.options)
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestExecCutsOutput(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	got, err := c.Exec(t.Context(), command(ns, "a", "sh", "-c",
		"head -c 20000000 /dev/zero | tr '\\0' o; head -c 20000000 /dev/zero | tr '\\0' e >&2; exit 4"))
	if err != nil || got.Code != 4 {
		t.Fatalf("got code %d, %v, want 4", got.Code, err)
	}
	if got.Stdout != strings.Repeat("o", maxOutput) || got.Stderr != strings.Repeat("e", maxOutput) {
		t.Errorf("got %d and %d bytes, want the first %d of each", len(got.Stdout), len(got.Stderr), maxOutput)
	}
}

func TestExecRefusals(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	for name, test := range map[string]struct {
		options      ExecOptions
		reason, text string
	}{
		"no pod":       {command(ns, "b", "true"), "NotFound", `create pods/exec "b" in namespace "` + ns + `": not found (404)`},
		"no container": {ExecOptions{Namespace: ns, Pod: "a", Container: "c", Command: []string{"true"}}, "BadRequest", "container c is not valid for pod a"},
		"no command":   {command(ns, "a"), "", "the command is empty"},
		"no name":      {command(ns, "", "true"), "", "name is empty"},
		"a path":       {command(ns, "a/log", "true"), "", `invalid name "a/log"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.Exec(t.Context(), test.options)
			if err == nil || reason(err) != test.reason || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %q, %v, want %q with %q", reason(err), err, test.reason, test.text)
			}
		})
	}
	// A pod that has ended has no command's end to wait for.
	mustCreate(t, c, podKind, ns, Object{
		"metadata": Object{"name": "done", "annotations": Object{"sandbox/complete-after": "1ms"}},
		"spec":     Object{"restartPolicy": "Never", "containers": []any{Object{"name": "main", "image": "image"}}},
	})
	eventually(t, "the pod has ended", func() bool {
		pod, err := c.Get(t.Context(), podKind, ns, "done")
		if err != nil {
			t.Fatal(err)
		}
		return pod["status"].(Object)["phase"] == "Succeeded"
	})
	if _, err := c.Exec(t.Context(), command(ns, "done", "true")); err == nil || !strings.Contains(err.Error(), `container not found ("main")`) {
		t.Errorf("in a pod that has ended: got %q, %v, want that the container is not there", reason(err), err)
	}
}

func TestExecRights(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	for name, test := range map[string]struct {
		rights []string
		reason string
	}{
		// WebSocket needs get as well, SPDY does not.
		"create and get": {[]string{"create,get:pods/exec"}, ""},
		"create":         {[]string{"create:pods/exec"}, ""},
		"get":            {[]string{"get:pods/exec"}, "Forbidden"},
		"neither":        {[]string{"get:pods"}, "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig, user := sandboxtest.User(t, ns, test.rights...)
			got, err := open(t, kubeconfig, Options{}).Exec(t.Context(), command(ns, "a", "sh", "-c", "echo out; exit 3"))
			if reason(err) != test.reason {
				t.Fatalf("got %+v, %v, want reason %q", got, err, test.reason)
			}
			if err == nil && (got != ExecResult{Stdout: "out\n", Code: 3}) {
				t.Errorf("got %+v", got)
			}
			want := `user "` + user + `" may not create pods/exec in namespace "` + ns + `" (403)`
			if err != nil && err.Error() != want {
				t.Errorf("got %q, want %q", err, want)
			}
		})
	}
}

func TestExecEndsWithContext(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	sandboxtest.NeedTools(t, "pgrep")
	runningPod(t, c, ns, "a")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	// It floods us, so that the streams are still at work when they are given up.
	_, err := c.Exec(ctx, command(ns, "a", "sh", "-c", "while :; do echo flood; done"))
	if !errors.Is(err, context.DeadlineExceeded) || reason(err) != "" {
		t.Errorf("got %v, want a deadline that no script can catch", err)
	}
	eventually(t, "the sandbox killed it", func() bool {
		got, err := c.Exec(t.Context(), command(ns, "a", "pgrep", "-f", "flood"))
		if err != nil {
			t.Fatal(err)
		}
		return got.Code == 1
	})
}

// Wherever a deadline hits, it is a deadline, and never an outcome that a script could catch.
func TestExecEndsAtAnyMoment(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	for i := range 40 {
		after := time.Duration(i*i) * 50 * time.Microsecond
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := c.Exec(ctx, command(ns, "a", "sh", "-c", "while :; do echo flood; done"))
		if !errors.Is(err, context.DeadlineExceeded) || reason(err) != "" {
			t.Errorf("after %s: got %v (%q), want a deadline that no script can catch", after, err, reason(err))
		}
		cancel()
	}
}

// The SPDY library waits for the answer to its upgrade whatever the context says.
func TestExecSilentUpgradeEndsWithContext(t *testing.T) {
	t.Parallel()
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	asked := make(chan struct{})
	proxy.Handle(func(r *http.Request) sandboxtest.Fault {
		if r.Method == http.MethodGet {
			return sandboxtest.Refuse(http.StatusForbidden, 0)
		}
		close(asked)
		return sandboxtest.Silent
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-asked
		cancel()
	}()
	_, err := open(t, kubeconfig, Options{}).Exec(ctx, command("default", "a", "true"))
	if !errors.Is(err, context.Canceled) || reason(err) != "" {
		t.Errorf("got %v, want a cancel that no script can catch", err)
	}
}

func TestExecInDeletedPod(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	go func() {
		// Once the command has begun.
		for t.Context().Err() == nil {
			if r, err := c.Exec(t.Context(), command(ns, "a", "test", "-e", "/tmp/begun")); err == nil && r.Code == 0 {
				break
			}
		}
		if err := c.Delete(t.Context(), podKind, ns, "a", DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}()
	got, err := c.Exec(t.Context(), command(ns, "a", "sh", "-c", "echo begun | tee /tmp/begun; sleep 3600"))
	if err != nil || (got != ExecResult{Stdout: "begun\n", Code: 137}) {
		t.Errorf("got %+v, %v, want a killed command", got, err)
	}
}

// cut forwards a request and breaks the connection once cut is closed.
func cut(when <-chan struct{}) sandboxtest.Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		h := &hijacked{ResponseWriter: w}
		done := make(chan struct{})
		go func() {
			select {
			case <-when:
			case <-done:
				return
			}
			if err := h.conn.Close(); err != nil {
				return // the other side was faster
			}
		}()
		forward.ServeHTTP(h, r)
		close(done)
	}
}

// hijacked keeps the connection that a handler takes over.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	h.conn = conn
	return conn, rw, err
}

func TestExecLostConnection(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	for name, webSocket := range map[string]bool{"web socket": true, "spdy": false} {
		t.Run(name, func(t *testing.T) {
			proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
			begun := make(chan struct{})
			proxy.Handle(func(r *http.Request) sandboxtest.Fault {
				if !webSocket && r.Method == http.MethodGet {
					return sandboxtest.Refuse(http.StatusForbidden, 0)
				}
				return cut(begun)
			})
			file := "/tmp/" + strings.ReplaceAll(name, " ", "-")
			go func() {
				defer close(begun)
				for t.Context().Err() == nil {
					if r, err := c.Exec(t.Context(), command(ns, "a", "test", "-e", file)); err == nil && r.Code == 0 {
						return
					}
				}
			}()
			got, err := open(t, kubeconfig, Options{}).Exec(t.Context(), command(ns, "a", "sh", "-c", "echo begun >>"+file+"; sleep 3600"))
			if reason(err) != "UnknownOutcome" {
				t.Errorf("got %+v, %v, want an unknown outcome", got, err)
			}
			// It must not be run a second time.
			if r, err := c.Exec(t.Context(), command(ns, "a", "cat", file)); err != nil || r.Stdout != "begun\n" {
				t.Errorf("got %+v, %v, want one beginning", r, err)
			}
		})
	}
}

func TestExecWaitsForServer(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	if err := proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	book := &logbook{}
	book.hook = func(line string) {
		if strings.Contains(line, "connection refused") {
			if err := proxy.Start(); err != nil {
				t.Error(err)
			}
		}
	}
	client := open(t, kubeconfig, Options{Logger: book.logger()})
	got, err := client.Exec(t.Context(), command(ns, "a", "echo", "out"))
	if err != nil || got.Stdout != "out\n" {
		t.Errorf("after an outage: got %+v, %v", got, err)
	}
	// Both ways in are refused twice before one is open.
	busy := sandboxtest.Refuse(http.StatusServiceUnavailable, 0)
	proxy.Script(http.MethodGet, busy, busy)
	var posts []string
	before := len(proxy.Requests())
	got, err = client.Exec(t.Context(), command(ns, "a", "echo", "again"))
	if err != nil || got.Stdout != "again\n" {
		t.Errorf("after 503: got %+v, %v", got, err)
	}
	posts = proxy.Requests()[before:]
	if !slices.ContainsFunc(posts, func(r string) bool { return strings.HasPrefix(r, "GET ") }) {
		t.Errorf("requests are %q", posts)
	}

	if err := proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	impatient := open(t, kubeconfig, Options{Patience: 50 * time.Millisecond})
	if _, err := impatient.Exec(t.Context(), command(ns, "a", "true")); reason(err) != "Unavailable" {
		t.Errorf("server down for good: got %q, %v, want Unavailable", reason(err), err)
	}
}

func TestLogsOfContainer(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	runningPod(t, c, ns, "a")
	if _, err := c.Exec(t.Context(), command(ns, "a", "sh", "-c", "for i in 1 2 3; do echo line $i; done >/proc/1/fd/1")); err != nil {
		t.Fatal(err)
	}
	for container, want := range map[string]string{"main": "line 2\nline 3\n", "side": ""} {
		got, err := c.Logs(t.Context(), ns, "a", container, 2, 0)
		if err != nil || got != want {
			t.Errorf("container %q: got %q, %v, want %q", container, got, err, want)
		}
	}
}

// A command may take hours. Its server may not take them to begin.
func TestExecOfASilentServerEnds(t *testing.T) {
	t.Parallel()
	proxy, kubeconfig := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	proxy.Handle(func(*http.Request) sandboxtest.Fault { return sandboxtest.Silent })
	c := open(t, kubeconfig, Options{})
	c.readTimeout = 100 * time.Millisecond
	_, err := c.Exec(t.Context(), command("default", "a", "true"))
	if got := reason(err); got != "UnknownOutcome" {
		t.Errorf("got %v, want an unknown outcome: the command may have been started", err)
	}
}
