package kube

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestMutationsCarryTheirTimeout(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{}), admin(t), sandboxtest.Namespace(t)
	for verb, v := range verbCases {
		before := reset(t, direct, ns)
		seen := len(proxy.Requests())
		if err := v.do(t.Context(), c, ns, before); err != nil {
			t.Fatal(err)
		}
		got := proxy.Requests()[seen:]
		if len(got) != 1 || !strings.Contains(got[0], "timeout=10s") {
			t.Errorf("%s: got %v, want one request with timeout=10s", verb, got)
		}
	}
	seen := len(proxy.Requests())
	value(t, c, ns, "a")
	if got := proxy.Requests()[seen:]; len(got) != 1 || strings.Contains(got[0], "timeout") {
		t.Errorf("get: got %v, want one request without a timeout", got)
	}
}

func TestTooManyRequestsHonoursRetryAfterOnce(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, ns := open(t, file, Options{}), sandboxtest.Namespace(t)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		proxy.Script(method, sandboxtest.Refuse(http.StatusTooManyRequests, time.Second))
		seen, started := len(proxy.Requests()), time.Now()
		var err error
		if method == http.MethodGet {
			_, err = c.List(t.Context(), configMap, ns, ListOptions{})
		} else {
			_, err = c.Create(t.Context(), configMap, ns, settings("a", "1"))
		}
		if err != nil {
			t.Error(err)
		}
		if waited := time.Since(started); waited < time.Second {
			t.Errorf("%s: waited %s, want the server's 1s", method, waited)
		}
		// Nothing was carried out, so there is nothing to read back.
		if got := proxy.Requests()[seen:]; len(got) != 2 {
			t.Errorf("%s: got %v, want two requests", method, got)
		}
	}
}

func TestServerComesBack(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	direct, ns := admin(t), sandboxtest.Namespace(t)
	for verb, v := range verbCases {
		var book logbook
		c := open(t, file, Options{Logger: book.logger()})
		before := reset(t, direct, ns)
		// Warm up, so that the connection is one that the stop breaks.
		value(t, c, ns, "a")
		if err := proxy.Stop(); err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		book.hook = func(line string) {
			if strings.Contains(line, "does not answer") {
				once.Do(func() {
					if err := proxy.Start(); err != nil {
						t.Error(err)
					}
				})
			}
		}
		if err := v.do(t.Context(), c, ns, before); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
		if got := state(t, direct, ns); got != v.want {
			t.Errorf("%s: got %s, want %s", verb, got, v.want)
		}
		if got := book.matching("WARN API server https://127.0.0.1:"); len(got) != 1 || !strings.HasSuffix(got[0], "waiting up to 1m0s") {
			t.Errorf("%s: got warnings %q, want one", verb, got)
		}
		if got := book.matching("INFO API server"); len(got) != 1 || !strings.Contains(got[0], "answers again after") {
			t.Errorf("%s: got %q, want one line about its return", verb, got)
		}
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	direct, ns := admin(t), sandboxtest.Namespace(t)
	before := reset(t, direct, ns)
	if err := proxy.Stop(); err != nil {
		t.Fatal(err)
	}
	c := open(t, file, Options{Patience: 300 * time.Millisecond})
	for verb, v := range verbCases {
		err := v.do(t.Context(), c, ns, before)
		var unavailable *UnavailableError
		var unknown *UnknownOutcomeError
		if reason(err) != "Unavailable" || !errors.As(err, &unavailable) || errors.As(err, &unknown) {
			t.Errorf("%s: got %v (%s), want unavailable: nothing was sent", verb, err, reason(err))
			continue
		}
		if unavailable.Server != "API server "+c.Server() || unavailable.Waited < 300*time.Millisecond ||
			!strings.Contains(err.Error(), c.Server()) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: got %v", verb, err)
		}
	}
}

func TestPatienceEndsInDoubt(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	direct, ns := admin(t), sandboxtest.Namespace(t)
	for verb, v := range verbCases {
		before := reset(t, direct, ns)
		lost := false
		proxy.Handle(func(r *http.Request) sandboxtest.Fault {
			if r.Method == v.method && !lost {
				lost = true
				return sandboxtest.DropAnswer
			}
			return sandboxtest.Refuse(http.StatusServiceUnavailable, 0)
		})
		c := open(t, file, Options{Patience: 300 * time.Millisecond})
		err := v.do(t.Context(), c, ns, before)
		var unavailable *UnavailableError
		var unknown *UnknownOutcomeError
		if reason(err) != "UnknownOutcome" || !errors.As(err, &unavailable) || !errors.As(err, &unknown) {
			t.Errorf("%s: got %v (%s), want an unknown outcome", verb, err, reason(err))
		}
		if got := state(t, direct, ns); got != v.want {
			t.Errorf("%s: got %s: it did land, in this test", verb, got)
		}
	}
}

// D18: a server that takes requests and never answers.
func TestSilentServerHangsNothing(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	proxy.Handle(func(*http.Request) sandboxtest.Fault { return sandboxtest.Silent })
	c := open(t, file, Options{Patience: time.Second, MutationTimeout: 100 * time.Millisecond})
	c.readTimeout = 200 * time.Millisecond
	_, err := c.Get(t.Context(), configMap, "default", "a")
	if reason(err) != "Unavailable" || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("get: got %v (%s)", err, reason(err))
	}
	err = c.Delete(t.Context(), configMap, "default", "a", DeleteOptions{})
	if reason(err) != "UnknownOutcome" {
		t.Errorf("delete: got %v (%s)", err, reason(err))
	}
}

func TestCancelledIsNotCaught(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{}), admin(t), sandboxtest.Namespace(t)
	for verb, v := range verbCases {
		before := reset(t, direct, ns)
		// While its answer is awaited.
		ctx, cancel := context.WithCancel(t.Context())
		proxy.Script(v.method, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			cancel()
			sandboxtest.Silent(w, r, forward)
		})
		err := v.do(ctx, c, ns, before)
		var unknown *UnknownOutcomeError
		if !errors.Is(err, context.Canceled) || !errors.As(err, &unknown) || reason(err) != "" {
			t.Errorf("%s in flight: got %v (%q)", verb, err, reason(err))
		}
		// Before it was sent.
		err = v.do(ctx, c, ns, before)
		if !errors.Is(err, context.Canceled) || errors.As(err, &unknown) || reason(err) != "" {
			t.Errorf("%s not begun: got %v (%q)", verb, err, reason(err))
		}
		// While the server is waited for: its answer is in the log before the pause begins.
		ctx, cancel = context.WithCancel(t.Context())
		book := logbook{hook: func(line string) {
			if strings.Contains(line, "(429 ") {
				cancel()
			}
		}}
		proxy.Script(v.method, sandboxtest.Refuse(http.StatusTooManyRequests, 30*time.Second))
		err = v.do(ctx, open(t, file, Options{Logger: book.logger()}), ns, before)
		if !errors.Is(err, context.Canceled) || errors.As(err, &unknown) || reason(err) != "" {
			t.Errorf("%s waiting: got %v (%q)", verb, err, reason(err))
		}
		// Reads.
		if _, err := c.Get(ctx, configMap, ns, "a"); !errors.Is(err, context.Canceled) || reason(err) != "" {
			t.Errorf("get: got %v (%q)", err, reason(err))
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := c.Get(ctx, configMap, ns, "a"); !errors.Is(err, context.DeadlineExceeded) || reason(err) != "" {
		t.Errorf("deadline: got %v (%q)", err, reason(err))
	}
}

func TestListStartsOverWhenItExpires(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, direct, ns := open(t, file, Options{}), admin(t), sandboxtest.Namespace(t)
	const n = pageSize + 7
	work := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range work {
				name := "c" + strings.Repeat("x", i%7) + "-" + string(rune('a'+i%26)) + "-" + time.Duration(i).String()
				if _, err := direct.Create(t.Context(), configMap, ns, settings(strings.ReplaceAll(name, "µ", "u"), "1")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	workers.Wait()

	expired := 0
	proxy.Handle(func(r *http.Request) sandboxtest.Fault {
		if r.URL.Query().Get("continue") == "" || expired > 0 {
			return nil
		}
		expired++
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusGone)
			if _, err := w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"too old"}`)); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	})
	list, err := c.List(t.Context(), configMap, ns, ListOptions{LabelSelector: RunLabel + "=run-1"})
	if err != nil || len(list) != n || expired != 1 {
		t.Errorf("got %d objects, %v, want %d after one expiry", len(list), err, n)
	}
	if got := len(proxy.Requests()); got != 4 {
		t.Errorf("got %d requests, want 4: %v", got, proxy.Requests())
	}
}

// The API server answers 500 here, but it is fine: waiting would be in vain, and the
// patience of all calls would go with it.
func TestPermanent500s(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, ns := open(t, file, Options{}), sandboxtest.Namespace(t)
	_, err := c.Apply(t.Context(), podKind, ns, "p", Object{"spec": Object{"sepc": 1}}, "ebb", false)
	if r, code := catch(err); r != "Invalid" || code != 422 || !strings.Contains(err.Error(), ".spec.sepc: field not declared in schema") {
		t.Errorf("apply of nonsense: got %v (%s, %d)", err, r, code)
	}
	nodeIsDown := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		if _, err := w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":500,"message":"dial tcp 10.0.0.1:10250: connect: connection refused"}`)); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	proxy.Script(http.MethodGet, nodeIsDown)
	_, err = c.Logs(t.Context(), ns, "p", "c", 10, 0)
	if _, code := catch(err); code != 500 || !strings.Contains(err.Error(), "10250: connect: connection refused (500)") {
		t.Errorf("logs of a node that is down: got %v", err)
	}
	if got := proxy.Requests(); len(got) != 2 {
		t.Errorf("got %v, want two requests", got)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, ns := open(t, file, Options{}), sandboxtest.Namespace(t)
	if _, err := c.Logs(t.Context(), ns, "nothing", "", 5, 0); reason(err) != "NotFound" {
		t.Errorf("got %v", err)
	}
	// The sandbox's nodes keep no logs, so the answer is the proxy's.
	proxy.Script(http.MethodGet, sandboxtest.Drop, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/plain")
		if _, err := w.Write([]byte("{not json\n")); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	text, err := c.Logs(t.Context(), ns, "p", "c", 5, 0)
	if err != nil || text != "{not json\n" {
		t.Errorf("got %q, %v", text, err)
	}
	requests := proxy.Requests()
	if last := requests[len(requests)-1]; last != "GET /api/v1/namespaces/"+ns+"/pods/p/log?container=c&limitBytes=1048576&tailLines=5" {
		t.Errorf("asked %s", last)
	}
	for _, n := range [][2]int64{{-1, 0}, {0, -1}} {
		if _, err := c.Logs(t.Context(), ns, "p", "c", n[0], n[1]); err == nil || reason(err) != "" {
			t.Errorf("%v: got %v", n, err)
		}
	}
}

// The server quotes the whole object, and of a Secret it says nothing without quoting.
func TestInvalidObjectsAreNotQuoted(t *testing.T) {
	t.Parallel()
	c, ns := admin(t), sandboxtest.Namespace(t)
	mustCreate(t, c, configMap, ns, Object{"metadata": Object{"name": "s"}, "data": Object{"password": "hunter2"}})
	_, err := c.Patch(t.Context(), configMap, ns, "s", Object{"immutable": 5}, PatchOptions{})
	if reason(err) != "Invalid" || strings.Contains(err.Error(), "password") || !strings.Contains(err.Error(), "cannot unmarshal") {
		t.Errorf("got %v (%s)", err, reason(err))
	}
	secret, err := c.Resolve(t.Context(), "", "Secret")
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, c, secret, ns, Object{"metadata": Object{"name": "s"}, "stringData": Object{"password": "hunter2"}})
	_, err = c.Patch(t.Context(), secret, ns, "s", Object{"immutable": 5}, PatchOptions{})
	if want := `patch secrets "s" in namespace "` + ns + `": Invalid: its words are left out, since they may hold values of the secret (422)`; reason(err) != "Invalid" || err.Error() != want {
		t.Errorf("got %v (%s), want %s", err, reason(err), want)
	}
}

func TestErrorsUnwrapToStatus(t *testing.T) {
	t.Parallel()
	c := admin(t)
	_, err := c.Get(t.Context(), configMap, sandboxtest.Namespace(t), "nothing")
	var status *apierrors.StatusError
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		t.Errorf("got %T %v", err, err)
	}
}
