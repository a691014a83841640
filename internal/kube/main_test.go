package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	code := sandboxtest.Main(m)
	const remotecommand = "k8s.io/client-go/tools/remotecommand."
	known := []goleak.Option{
		// client-go leaves the heartbeat of a connection that broke until its next beat.
		goleak.IgnoreTopFunction(remotecommand + "(*heartbeat).start"),
		// It never closes the streams of a websocket that was closed before the first read: readDemuxLoop
		// returns without that if it can't set the first deadline. The connection itself is closed.
		goleak.IgnoreAnyFunction(remotecommand + "(*streamProtocolV4).stream"),
		goleak.IgnoreAnyFunction(remotecommand + "(*stream).Read"),
	}
	for limit := time.Now().Add(time.Minute); code == 0; {
		// It waits for half a second itself, which may be short for a connection that is being closed.
		err := goleak.Find(known...)
		if err == nil {
			break
		}
		if time.Now().After(limit) {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var (
	configMap = Resource{Version: "v1", Kind: "ConfigMap", Plural: "configmaps", Namespaced: true}
	podKind   = Resource{Version: "v1", Kind: "Pod", Plural: "pods", Namespaced: true}
)

// open returns a client that has enough patience for any fault that ends.
func open(t testing.TB, kubeconfig string, o Options) *Client {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = time.Minute
	}
	config, err := LoadConfig(kubeconfig, "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(config, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func admin(t testing.TB) *Client {
	t.Helper()
	return open(t, sandboxtest.Kubeconfig(t), Options{})
}

// settings returns a ConfigMap as run "run-1" would make it.
func settings(name, value string) Object {
	return Object{
		"metadata": Object{"name": name, "labels": Object{RunLabel: "run-1"}},
		"data":     Object{"value": value},
	}
}

func mustCreate(t testing.TB, c *Client, r Resource, namespace string, obj Object) Object {
	t.Helper()
	made, err := c.Create(t.Context(), r, namespace, obj)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// value reads a ConfigMap's, "absent" if there is none.
func value(t testing.TB, c *Client, namespace, name string) string {
	t.Helper()
	got, err := c.Get(t.Context(), configMap, namespace, name)
	if reason(err) == "NotFound" {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	s, _ := got["data"].(Object)["value"].(string)
	return s
}

func uid(obj Object) string { return string(Meta(obj).GetUID()) }

// eventually is for what the cluster does in its own time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30s", what)
		}
	}
}

// logbook is a log that can be read and waited for.
type logbook struct {
	mu    sync.Mutex
	lines []string
	hook  func(line string)
}

func (l *logbook) logger() *slog.Logger { return slog.New(l) }

func (l *logbook) Enabled(context.Context, slog.Level) bool { return true }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	if l.hook != nil {
		l.hook(line)
	}
	return nil
}

func (l *logbook) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *logbook) WithGroup(string) slog.Handler      { return l }

func (l *logbook) matching(part string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return found
}

// hintsOf is what a person is told to do.
func hintsOf(err error) []string {
	var h interface{ Hints() []string }
	if !errors.As(err, &h) {
		return nil
	}
	return h.Hints()
}

// reason is what a script would catch, "" if it could not.
func reason(err error) string {
	r, _ := catch(err)
	return r
}

func catch(err error) (string, int) {
	for err != nil {
		if c, ok := err.(interface{ Catch() (string, int) }); ok {
			return c.Catch()
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			break
		}
		err = u.Unwrap()
	}
	return "", 0
}
