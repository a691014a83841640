package kube

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// everyVerb asks about the ConfigMap a, which is there before each, or about the cluster.
var everyVerb = map[string]func(ctx context.Context, c *Client, ns string) error{
	"get": func(ctx context.Context, c *Client, ns string) error {
		_, err := c.Get(ctx, configMap, ns, "a")
		return err
	},
	"list": func(ctx context.Context, c *Client, ns string) error {
		_, err := c.List(ctx, configMap, ns, ListOptions{LabelSelector: RunLabel})
		return err
	},
	"create": func(ctx context.Context, c *Client, ns string) error {
		_, err := c.Create(ctx, configMap, ns, settings("b", "new"))
		return err
	},
	"patch": func(ctx context.Context, c *Client, ns string) error {
		_, err := c.Patch(ctx, configMap, ns, "a", Object{"data": Object{"value": "new"}}, PatchOptions{})
		return err
	},
	"apply": func(ctx context.Context, c *Client, ns string) error {
		_, err := c.Apply(ctx, configMap, ns, "a", Object{"data": Object{"value": "new"}}, "ebb", true)
		return err
	},
	"delete": func(ctx context.Context, c *Client, ns string) error {
		return c.Delete(ctx, configMap, ns, "a", DeleteOptions{})
	},
	"cluster UID": func(ctx context.Context, c *Client, _ string) error {
		uid, err := c.ClusterUID(ctx)
		if uid != "" {
			return nil
		}
		return err
	},
	"resolve": func(ctx context.Context, c *Client, _ string) error {
		_, err := c.Resolve(ctx, "events.k8s.io/v1", "Event")
		return err
	},
	"may": func(ctx context.Context, c *Client, ns string) error {
		_, _, err := c.Can(ctx, "get", "", "configmaps", "", ns, "a")
		return err
	},
	"logs": func(ctx context.Context, c *Client, ns string) error {
		_, err := c.Logs(ctx, ns, "a", "c", 0, 0)
		return err
	},
	"exec": func(ctx context.Context, c *Client, ns string) error {
		_, err := c.Exec(ctx, ExecOptions{Namespace: ns, Pod: "a", Command: []string{"true"}})
		return err
	},
}

// notWrong are the answers that are right, or can't be told from a right one, to one of the verbs.
var notWrong = map[string]string{
	"another name/list":                  "the items are as they were",
	"another name/resolve":               "a list of kinds has no name",
	"another name/may":                   "a review has no name",
	"another namespace/resolve":          "nor a namespace",
	"another apiVersion/resolve":         "the list's own apiVersion is left out by the core's",
	"an object without metadata/resolve": "it has none",
	"an object without metadata/may":     "it needs none",
	"a list without items/resolve":       "it has none",
	"a list without items/may":           "it has none",
	"200 in text/logs":                   "it may well be the log",
	"another name/logs":                  "no pod has run",
	"another name/exec":                  "no pod has run",
	"half an answer/logs":                "no pod has run",
}

// B1, B2: nothing but the API server's own answer to the question counts.
func TestWrongAnswers(t *testing.T) {
	t.Parallel()
	answers := sandboxtest.WrongAnswers()
	if len(answers) < 60 {
		t.Errorf("got %d wrong answers, want 60 at least", len(answers))
	}
	kubeconfig := sandboxtest.Kubeconfig(t)
	for verb, ask := range everyVerb {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			direct, ns := admin(t), sandboxtest.Namespace(t)
			proxy, file := sandboxtest.FaultProxy(t, kubeconfig)
			for _, wrong := range answers {
				if notWrong[wrong.Name+"/"+verb] != "" {
					continue
				}
				reset(t, direct, ns)
				proxy.Handle(func(*http.Request) sandboxtest.Fault { return wrong.Fault })
				patience := time.Minute
				if wrong.Class == sandboxtest.Outage {
					patience = 30 * time.Millisecond
				}
				c := open(t, file, Options{Patience: patience, firstPause: time.Millisecond})
				before := len(proxy.Requests())
				err := ask(t.Context(), c, ns)
				asked := len(proxy.Requests()) - before
				switch {
				case err == nil:
					t.Errorf("%s: no error", wrong.Name)
				case apierrors.IsNotFound(err) || reason(err) == "NotFound":
					t.Errorf("%s: taken for absence: %v", wrong.Name, err)
				case apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err):
					t.Errorf("%s: taken for the state of the object: %v", wrong.Name, err)
				}
				// A patience of 30 ms has room for six pauses of 1, 2, 4 … ms, halved at most, and
				// a write looks after each attempt; an exec tries two protocols, twice.
				if most := map[sandboxtest.Class]int{sandboxtest.Outage: 40, sandboxtest.Few: 12, sandboxtest.Final: 4}[wrong.Class]; asked > most {
					t.Errorf("%s: asked %d times, want %d at most", wrong.Name, asked, most)
				}
			}
		})
	}
}

// A wrong answer that comes once changes nothing: the next attempt brings the right one.
func TestAWrongAnswerOnce(t *testing.T) {
	t.Parallel()
	kubeconfig := sandboxtest.Kubeconfig(t)
	for verb, v := range verbCases {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			direct, ns := admin(t), sandboxtest.Namespace(t)
			proxy, file := sandboxtest.FaultProxy(t, kubeconfig)
			c := open(t, file, Options{firstPause: time.Millisecond})
			for _, wrong := range sandboxtest.WrongAnswers() {
				if wrong.Class == sandboxtest.Final || strings.Contains(wrong.Name, "an hour") {
					continue
				}
				before := reset(t, direct, ns)
				proxy.Script(v.method, wrong.Fault)
				if err := v.do(t.Context(), c, ns, before); err != nil {
					t.Errorf("%s: %v", wrong.Name, err)
				}
				if got := state(t, direct, ns); got != v.want {
					t.Errorf("%s: got %s, want %s", wrong.Name, got, v.want)
				}
			}
		})
	}
}

// A cache that leaves the selector out of its keys answers with what was never selected.
func TestListsMatchTheirSelectors(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	direct, ns := admin(t), sandboxtest.Namespace(t)
	mustCreate(t, direct, configMap, ns, settings("a", "old"))
	without := func(parameter string) func(*http.Request) sandboxtest.Fault {
		return func(*http.Request) sandboxtest.Fault {
			return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
				query := r.URL.Query()
				query.Del(parameter)
				r.URL.RawQuery = query.Encode()
				forward.ServeHTTP(w, r)
			}
		}
	}
	for parameter, o := range map[string]ListOptions{
		"labelSelector": {LabelSelector: RunLabel + "=run-2"},
		"fieldSelector": {FieldSelector: "metadata.name!=a"},
	} {
		for name, list := range map[string]func(*Client) (int, error){
			"list": func(c *Client) (int, error) {
				found, err := c.List(t.Context(), configMap, ns, o)
				return len(found), err
			},
			"metadata": func(c *Client) (int, error) {
				found, err := c.ListMetadata(t.Context(), configMap, ns, o)
				return len(found), err
			},
		} {
			proxy.Handle(without(parameter))
			c := open(t, file, Options{Patience: 30 * time.Millisecond, firstPause: time.Millisecond})
			if got, err := list(c); err == nil || !strings.Contains(err.Error(), "does not match") {
				t.Errorf("%s, %s: got %d, %v, want an error about what was not selected", parameter, name, got, err)
			}
			proxy.Handle(func(*http.Request) sandboxtest.Fault { return sandboxtest.Pass })
			if got, err := list(c); err != nil {
				t.Errorf("%s, %s: got %d, %v", parameter, name, got, err)
			}
		}
	}
}

// A gateway's refusals say what answered, and a webhook's its name.
func TestWrongAnswersAreNamed(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	ns := sandboxtest.Namespace(t)
	for _, test := range []struct{ name, reason, text, hint string }{
		{"404 of a web server", "Unavailable", `got 404 text/html "<html><head><title>404 Not Found`, "something between here and the API server"},
		{"403 of a firewall", "Gateway", `got 403 text/html "<html>blocked by policy</html>", want an API server's answer`, "something between here and the API server"},
		{"500 about a webhook", "Webhook", `failed calling webhook "policy.example.com"`, `webhook "policy.example.com" has to be reachable`},
		{"404 of a webhook", "Forbidden", `denied the request: no such tenant`, `webhook "policy.example.com" decides`},
		{"500, always the same", "InternalError", "quota evaluation failed (500)", ""},
		{"plain HTTP to a TLS port", "Configuration", "begins with http:// and the server speaks TLS", "change it to https://"},
	} {
		for _, wrong := range sandboxtest.WrongAnswers() {
			if wrong.Name != test.name {
				continue
			}
			proxy.Handle(func(*http.Request) sandboxtest.Fault { return wrong.Fault })
			// What ends by itself has time to, however slow the machine is.
			patience := time.Minute
			if wrong.Class == sandboxtest.Outage {
				patience = 50 * time.Millisecond
			}
			c := open(t, file, Options{Patience: patience, firstPause: time.Millisecond})
			_, err := c.Get(t.Context(), configMap, ns, "a")
			if err == nil || reason(err) != test.reason || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%s: got %v (%s), want %s (%s)", test.name, err, reason(err), test.text, test.reason)
			}
			if hints := strings.Join(hintsOf(err), "\n"); !strings.Contains(hints, test.hint) {
				t.Errorf("%s: got the hints %q, want %q", test.name, hints, test.hint)
			}
		}
	}
}

// B2: an aggregated API that is away is not the API server's being away, as long as that answers.
func TestAnAggregatedGroupAway(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	metrics := Resource{Group: "metrics.k8s.io", Version: "v1beta1", Kind: "NodeMetrics", Plural: "nodes"}
	away := func(r *http.Request) sandboxtest.Fault {
		if strings.HasPrefix(r.URL.Path, "/apis/metrics.k8s.io/") {
			return sandboxtest.Refuse(http.StatusServiceUnavailable, 0)
		}
		return nil
	}
	proxy.Handle(away)
	c := open(t, file, Options{firstPause: time.Millisecond})
	_, err := c.List(t.Context(), metrics, "", ListOptions{})
	var group *GroupError
	if !errors.As(err, &group) || reason(err) != "GroupUnavailable" || !strings.Contains(hintsOf(err)[0], "apiservice v1beta1.metrics.k8s.io") {
		t.Errorf("got %v (%s), want the group's trouble", err, reason(err))
	}
	if n := len(proxy.Requests()); n > groupTries+1 {
		t.Errorf("asked %d times: %q", n, proxy.Requests())
	}
	// With the API server away as well, it is an outage.
	proxy.Handle(func(*http.Request) sandboxtest.Fault { return sandboxtest.Refuse(http.StatusServiceUnavailable, 0) })
	c = open(t, file, Options{Patience: 50 * time.Millisecond, firstPause: time.Millisecond})
	if _, err := c.List(t.Context(), metrics, "", ListOptions{}); reason(err) != "Unavailable" {
		t.Errorf("got %v (%s), want the API server unavailable", err, reason(err))
	}
}

// The API server has no Status for a kind that it does not know: what it has says so.
func TestAKindThatIsGone(t *testing.T) {
	t.Parallel()
	c := open(t, sandboxtest.Kubeconfig(t), Options{firstPause: time.Millisecond})
	gadget := Resource{Group: "example.com", Version: "v1", Kind: "Gadget", Plural: "gadgets", Namespaced: true}
	lost := Resource{Group: "apps", Version: "v1", Kind: "Gadget", Plural: "gadgets", Namespaced: true}
	for _, r := range []Resource{gadget, lost} {
		_, err := c.Get(t.Context(), r, "default", "a")
		if reason(err) != "NoKind" || apierrors.IsNotFound(err) {
			t.Errorf("%s: got %v (%s), want to hear of the kind", r, err, reason(err))
		}
	}
}

// D13: what the API server and webhooks quote of a pod's environment is in no error.
func TestRefusalsHideValues(t *testing.T) {
	t.Parallel()
	proxy, file := sandboxtest.FaultProxy(t, sandboxtest.Kubeconfig(t))
	c, ns := open(t, file, Options{}), sandboxtest.Namespace(t)
	pod := Object{"metadata": Object{"name": "p"}, "spec": Object{"containers": []any{
		Object{"name": "c", "image": "i", "env": []any{Object{"name": "TOKEN", "value": "hunter2\"x"}}},
	}}}
	proxy.Script(http.MethodPost, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		if _, err := w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"admission webhook \"w\" denied the request: TOKEN=hunter2\"x and \"hunter2\\\"x\" look like secrets"}`)); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	_, err := c.Create(t.Context(), podKind, ns, pod)
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "TOKEN="+hidden) {
		t.Errorf("got %v", err)
	}
}
