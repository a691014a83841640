package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

type verbCase struct {
	method string
	do     func(ctx context.Context, c *Client, ns string, before Object) error
	want   string // what is there afterwards
}

// verbCases each change the ConfigMap "a", whose value is "old". Create makes "b".
var verbCases = map[string]verbCase{
	"create": {http.MethodPost, func(ctx context.Context, c *Client, ns string, _ Object) error {
		_, err := c.Create(ctx, configMap, ns, settings("b", "new"))
		return err
	}, "a=old b=new"},
	"create without label": {http.MethodPost, func(ctx context.Context, c *Client, ns string, _ Object) error {
		_, err := c.Create(ctx, configMap, ns, Object{"metadata": Object{"name": "b"}, "data": Object{"value": "new"}})
		return err
	}, "a=old b=new"},
	"patch": {http.MethodPatch, func(ctx context.Context, c *Client, ns string, _ Object) error {
		_, err := c.Patch(ctx, configMap, ns, "a", Object{"data": Object{"value": "new"}}, PatchOptions{})
		return err
	}, "a=new b=absent"},
	"patch of a version": {http.MethodPatch, func(ctx context.Context, c *Client, ns string, before Object) error {
		_, err := c.Patch(ctx, configMap, ns, "a", Object{"data": Object{"value": "new"}},
			PatchOptions{UID: uid(before), ResourceVersion: Meta(before).GetResourceVersion()})
		return err
	}, "a=new b=absent"},
	"apply": {http.MethodPatch, func(ctx context.Context, c *Client, ns string, _ Object) error {
		_, err := c.Apply(ctx, configMap, ns, "a", Object{"data": Object{"value": "new"}}, "ebb", true)
		return err
	}, "a=new b=absent"},
	"apply of a version": {http.MethodPatch, func(ctx context.Context, c *Client, ns string, before Object) error {
		_, err := c.Apply(ctx, configMap, ns, "a", Object{
			"metadata": Object{"resourceVersion": Meta(before).GetResourceVersion()}, "data": Object{"value": "new"}}, "ebb", true)
		return err
	}, "a=new b=absent"},
	"delete": {http.MethodDelete, func(ctx context.Context, c *Client, ns string, _ Object) error {
		return c.Delete(ctx, configMap, ns, "a", DeleteOptions{})
	}, "a=absent b=absent"},
	"delete of a UID": {http.MethodDelete, func(ctx context.Context, c *Client, ns string, before Object) error {
		return c.Delete(ctx, configMap, ns, "a", DeleteOptions{UID: uid(before), ResourceVersion: Meta(before).GetResourceVersion()})
	}, "a=absent b=absent"},
}

var faultCases = map[string]sandboxtest.Fault{
	"reset before":     sandboxtest.Drop,
	"reset after":      sandboxtest.DropAnswer,
	"half an answer":   sandboxtest.HalfAnswer,
	"500 before":       sandboxtest.Refuse(500, 0),
	"502 after":        sandboxtest.ReplaceAnswer(502),
	"503 before":       sandboxtest.Refuse(503, 0),
	"503 after":        sandboxtest.ReplaceAnswer(503),
	"504 after":        sandboxtest.ReplaceAnswer(504),
	"429":              sandboxtest.Refuse(429, 0),
	"garbage after":    garbage,
	"an empty success": emptySuccess,
}

// garbage forwards and answers like a portal that wants a log-in.
func garbage(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	forward.ServeHTTP(httptest.NewRecorder(), r)
	w.Header().Set("Content-Type", "text/html")
	if _, err := io.WriteString(w, "<html>please log in</html>"); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func emptySuccess(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.WriteHeader(http.StatusOK)
}

func state(t testing.TB, c *Client, ns string) string {
	t.Helper()
	return fmt.Sprintf("a=%s b=%s", value(t, c, ns, "a"), value(t, c, ns, "b"))
}

// A fault may come once, or a lost answer right after it: the result is the same.
func TestWritesSurviveFaults(t *testing.T) {
	t.Parallel()
	direct := admin(t)
	for protocol, start := range map[string]func(testing.TB, string) (*sandboxtest.Proxy, string){
		"http1": sandboxtest.FaultProxy, "http2": sandboxtest.FaultProxyHTTP2,
	} {
		for verb, v := range verbCases {
			t.Run(protocol+"/"+verb, func(t *testing.T) {
				t.Parallel()
				ns := sandboxtest.Namespace(t)
				proxy, file := start(t, sandboxtest.Kubeconfig(t))
				c := open(t, file, Options{firstPause: time.Millisecond})
				for fault, f := range faultCases {
					for _, script := range [][]sandboxtest.Fault{{f}, {f, sandboxtest.DropAnswer}} {
						before := reset(t, direct, ns)
						proxy.Script(v.method, script...)
						if err := v.do(t.Context(), c, ns, before); err != nil {
							t.Errorf("%s, %d faults: %v", fault, len(script), err)
						}
						if got := state(t, direct, ns); got != v.want {
							t.Errorf("%s, %d faults: got %s, want %s", fault, len(script), got, v.want)
						}
					}
				}
			})
		}
	}
}

// reset brings a and b back to where the verb cases begin.
func reset(t testing.TB, c *Client, ns string) Object {
	t.Helper()
	for _, name := range []string{"a", "b"} {
		if err := c.Delete(t.Context(), configMap, ns, name, DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
	}
	return mustCreate(t, c, configMap, ns, settings("a", "old"))
}

// Something between here and there loses the answer of every change, and of no read.
func TestReadBackSettles(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{Patience: 10 * time.Second}), admin(t), sandboxtest.Namespace(t)
	for verb, v := range verbCases {
		if strings.HasPrefix(verb, "apply") {
			continue // only an answer says whose the fields are
		}
		before := reset(t, direct, ns)
		sent := 0
		proxy.Handle(func(r *http.Request) sandboxtest.Fault {
			if r.Method != v.method {
				return nil
			}
			sent++
			return sandboxtest.DropAnswer
		})
		if err := v.do(t.Context(), c, ns, before); err != nil || sent != 1 {
			t.Errorf("%s: sent %d times, %v, want once", verb, sent, err)
		}
		if got := state(t, direct, ns); got != v.want {
			t.Errorf("%s: got %s, want %s", verb, got, v.want)
		}
	}
}

func TestReadBackSuffersFaultsToo(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{}), admin(t), sandboxtest.Namespace(t)
	for verb, v := range verbCases {
		before := reset(t, direct, ns)
		writes, reads := 0, 0
		proxy.Handle(func(r *http.Request) sandboxtest.Fault {
			switch {
			case r.Method == v.method && writes == 0:
				writes++
				return sandboxtest.DropAnswer
			case r.Method == http.MethodGet && reads < 2:
				reads++
				return []sandboxtest.Fault{sandboxtest.HalfAnswer, sandboxtest.Refuse(503, 0)}[reads-1]
			}
			return nil
		})
		if err := v.do(t.Context(), c, ns, before); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
		if got := state(t, direct, ns); got != v.want {
			t.Errorf("%s: got %s, want %s", verb, got, v.want)
		}
	}
}

func TestCreateLeavesForeignObjectsForeign(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{}), admin(t), sandboxtest.Namespace(t)
	for name, theirs := range map[string]Object{
		"of another run":    {"metadata": Object{"name": "b", "labels": Object{RunLabel: "run-2"}}, "data": Object{"value": "new"}},
		"without any label": {"metadata": Object{"name": "b"}, "data": Object{"value": "new"}},
	} {
		for fault, f := range map[string]sandboxtest.Fault{"before": sandboxtest.Drop, "after": sandboxtest.DropAnswer} {
			reset(t, direct, ns)
			made := mustCreate(t, direct, configMap, ns, theirs)
			proxy.Script(http.MethodPost, f)
			_, err := c.Create(t.Context(), configMap, ns, settings("b", "new"))
			if reason(err) != "AlreadyExists" {
				t.Errorf("%s, reset %s: got %v, want AlreadyExists", name, fault, err)
			}
			if there, err := direct.Get(t.Context(), configMap, ns, "b"); err != nil || uid(there) != uid(made) {
				t.Errorf("%s, reset %s: got %v, %v", name, fault, there, err)
			}
		}
	}
	// Without a label, only equal values tell.
	reset(t, direct, ns)
	mustCreate(t, direct, configMap, ns, settings("b", "theirs"))
	proxy.Script(http.MethodPost, sandboxtest.Drop)
	_, err := c.Create(t.Context(), configMap, ns, Object{"metadata": Object{"name": "b"}, "data": Object{"value": "ours"}})
	if reason(err) != "AlreadyExists" {
		t.Errorf("other values: got %v, want AlreadyExists", err)
	}
}

// The old object of the same run is on its way out: it is not the one to be created.
func TestCreateWaitsForEndingObject(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{}), admin(t), sandboxtest.Namespace(t)
	held := settings("b", "new")
	held["metadata"].(Object)["finalizers"] = []any{"ebb.dev/test"}
	mustCreate(t, direct, configMap, ns, held)
	if err := direct.Delete(t.Context(), configMap, ns, "b", DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	proxy.Script(http.MethodPost, sandboxtest.Drop)
	if _, err := c.Create(t.Context(), configMap, ns, settings("b", "new")); reason(err) != "AlreadyExists" {
		t.Errorf("got %v, want AlreadyExists", err)
	}
	if _, err := direct.Patch(t.Context(), configMap, ns, "b", Object{"metadata": Object{"finalizers": nil}}, PatchOptions{}); err != nil {
		t.Error(err)
	}
}

// The first create is still on its way when the client has given up on it, and lands
// just before the second.
func TestCreateLandsLate(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{MutationTimeout: 100 * time.Millisecond}), admin(t), sandboxtest.Namespace(t)
	release, landed := make(chan struct{}), make(chan struct{})
	late := func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		// By then, its own time is up for the API server too.
		r.URL.RawQuery = ""
		sandboxtest.Hold(release)(w, r, forward)
		close(landed)
	}
	second := func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		close(release)
		<-landed
		forward.ServeHTTP(w, r)
	}
	proxy.Script(http.MethodPost, late, second)
	made, err := c.Create(t.Context(), configMap, ns, settings("b", "new"))
	if err != nil || value(t, direct, ns, "b") != "new" || uid(made) == "" {
		t.Errorf("got %v, %v", made, err)
	}
}

// The delete lands, its answer does not, and a successor takes the name: it must live.
func TestDeleteKeepsRecreatedObject(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{}), admin(t), sandboxtest.Namespace(t)
	before := reset(t, direct, ns)
	proxy.Script(http.MethodDelete, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		forward.ServeHTTP(httptest.NewRecorder(), r)
		mustCreate(t, direct, configMap, ns, settings("a", "successor"))
		sandboxtest.Drop(w, r, forward)
	})
	if err := c.Delete(t.Context(), configMap, ns, "a", DeleteOptions{UID: uid(before)}); err != nil {
		t.Error(err)
	}
	if got := value(t, direct, ns, "a"); got != "successor" {
		t.Errorf("got %s, want the successor untouched", got)
	}
}

func TestConflictsAreFinal(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{}), admin(t), sandboxtest.Namespace(t)
	for _, f := range []sandboxtest.Fault{nil, sandboxtest.Drop, sandboxtest.DropAnswer} {
		old := reset(t, direct, ns)
		if _, err := direct.Patch(t.Context(), configMap, ns, "a", Object{"data": Object{"value": "theirs"}}, PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		for what, do := range map[string]func() error{
			"patch of an old version": func() error {
				_, err := c.Patch(t.Context(), configMap, ns, "a", Object{"data": Object{"value": "new"}}, PatchOptions{ResourceVersion: Meta(old).GetResourceVersion()})
				return err
			},
			"patch of another UID": func() error {
				_, err := c.Patch(t.Context(), configMap, ns, "a", Object{"data": Object{"value": "new"}}, PatchOptions{UID: "not-this"})
				return err
			},
			"delete of an old version": func() error {
				return c.Delete(t.Context(), configMap, ns, "a", DeleteOptions{ResourceVersion: Meta(old).GetResourceVersion()})
			},
		} {
			proxy.Handle(nil)
			if f != nil {
				proxy.Script(http.MethodPatch, f)
				if strings.HasPrefix(what, "delete") {
					proxy.Script(http.MethodDelete, f)
				}
			}
			err := do()
			if r, code := catch(err); r != "Conflict" || code != 409 || !apierrors.IsConflict(err) {
				t.Errorf("%s: got %v (%s, %d), want a conflict", what, err, r, code)
			}
		}
		if got := value(t, direct, ns, "a"); got != "theirs" {
			t.Errorf("got %s, want theirs", got)
		}
	}
	if err := c.Delete(t.Context(), configMap, ns, "a", DeleteOptions{UID: "not-this"}); reason(err) != "Conflict" {
		t.Errorf("delete of another UID: got %v, want a conflict", err)
	}
}

// Nobody knows: the first attempt may have used up the very quota that refuses the
// second, and still land.
func TestRefusalAfterALostAnswerSettlesNothing(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, ns := open(t, file, Options{}), sandboxtest.Namespace(t)
	proxy.Script(http.MethodPost, sandboxtest.Drop, sandboxtest.Refuse(http.StatusForbidden, 0))
	_, err := c.Create(t.Context(), configMap, ns, settings("b", "new"))
	var unknown *UnknownOutcomeError
	if !errors.As(err, &unknown) || reason(err) != "UnknownOutcome" || apierrors.IsForbidden(err) {
		t.Errorf("got %v (%s), want an unknown outcome", err, reason(err))
	}
	// The other way round it has landed, and reading back says so.
	proxy.Script(http.MethodPost, sandboxtest.DropAnswer, sandboxtest.Refuse(http.StatusForbidden, 0))
	if _, err := c.Create(t.Context(), configMap, ns, settings("b", "new")); err != nil {
		t.Error(err)
	}
}

// Who may not read can't read back.
func TestLostAnswerWithoutTheRightToRead(t *testing.T) {
	t.Parallel()
	ns := sandboxtest.Namespace(t)
	alice, _ := sandboxtest.User(t, ns, "create,delete,patch:configmaps")
	proxy, file := sandboxtest.FaultProxy(t, alice)
	c, direct := open(t, file, Options{}), admin(t)

	proxy.Script(http.MethodPost, sandboxtest.Drop)
	if _, err := c.Create(t.Context(), configMap, ns, settings("b", "new")); err != nil {
		t.Errorf("create that never arrived: %v", err)
	}
	if err := direct.Delete(t.Context(), configMap, ns, "b", DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	proxy.Script(http.MethodPost, sandboxtest.DropAnswer)
	if _, err := c.Create(t.Context(), configMap, ns, settings("b", "new")); reason(err) != "UnknownOutcome" {
		t.Errorf("create: got %v, want an unknown outcome: the object there may be anybody's", err)
	}
	proxy.Script(http.MethodPatch, sandboxtest.DropAnswer)
	if _, err := c.Patch(t.Context(), configMap, ns, "b", Object{"data": Object{"value": "newer"}}, PatchOptions{}); err != nil {
		t.Errorf("patch: %v", err)
	}
	proxy.Script(http.MethodDelete, sandboxtest.DropAnswer)
	if err := c.Delete(t.Context(), configMap, ns, "b", DeleteOptions{}); err != nil {
		t.Errorf("delete: %v", err)
	}
}
