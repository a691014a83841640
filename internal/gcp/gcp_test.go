package gcp

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/oauth2"
	"pgregory.net/rapid"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
	"github.com/ebb-chaos/ebb/internal/cloudtest"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts a Compute Engine and a client of it; what the client logs must hold no token.
func open(t *testing.T) (*cloudtest.GCP, *Client) {
	t.Helper()
	cloud := cloudtest.NewGCP(t)
	for name, value := range cloud.Env() {
		t.Setenv(name, value)
	}
	var log bytes.Buffer
	c := Open(Options{Patience: 20 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil)), UserAgent: "test/1"})
	t.Cleanup(func() {
		c.Close()
		for _, token := range cloud.Tokens() {
			if strings.Contains(log.String(), token) {
				t.Errorf("the log holds a token: %s", log.String())
			}
		}
	})
	return cloud, c
}

var machine = Instance{"project-1", "zone-a", "node-1"}

func reach(t *testing.T, c *Client, i Instance, status string) {
	t.Helper()
	seen, err := c.Poll(t.Context(), time.Minute, func(ctx context.Context) (bool, error) {
		got, err := c.Status(ctx, i)
		return got == status, err
	})
	if err != nil || !seen {
		t.Fatalf("instance %s is not %s: %v", i, status, err)
	}
}

func TestInstances(t *testing.T) {
	cloud, c := open(t)
	ctx := t.Context()
	cloud.AddInstance(machine.String(), Running)
	cloud.AddInstance("project-1/zone-a/theirs", Running)
	if err := c.Stop(ctx, machine); err != nil {
		t.Fatal(err)
	}
	// The call waits for its own effect: the next look must not find the machine running.
	if status, err := c.Status(ctx, machine); err != nil || status == Running {
		t.Errorf("got %q, %v right after the stop", status, err)
	}
	reach(t, c, machine, Stopped)
	if err := c.Stop(ctx, machine); err != nil {
		t.Errorf("stopping a stopped one: %v", err)
	}
	if err := c.Start(ctx, machine); err != nil {
		t.Fatal(err)
	}
	if status, err := c.Status(ctx, machine); err != nil || status != Running {
		t.Errorf("got %q, %v right after the start", status, err)
	}
	if got := cloud.State("project-1/zone-a/theirs"); got != Running {
		t.Errorf("somebody else's instance is %q", got)
	}
	if status, err := c.Status(ctx, Instance{"project-1", "zone-a", "gone"}); err != nil || status != "" {
		t.Errorf("got %q, %v for an instance that is not there", status, err)
	}
	var e *cloudapi.Error
	if err := c.Start(ctx, Instance{"project-1", "zone-a", "gone"}); !errors.As(err, &e) || e.Code != 404 || !strings.Contains(err.Error(), "project-1/zone-a/gone") {
		t.Errorf("got %v for the start of one that is not there", err)
	}
}

// A zone without room is heard of at once, in the cloud's words.
func TestOperationFails(t *testing.T) {
	cloud, c := open(t)
	cloud.AddInstance(machine.String(), Stopped)
	cloud.Fail("start", "ZONE_RESOURCE_POOL_EXHAUSTED")
	err := c.Start(t.Context(), machine)
	var e *cloudapi.Error
	if !errors.As(err, &e) || e.Reason != "ZONE_RESOURCE_POOL_EXHAUSTED" || cloudapi.Unknown(err) {
		t.Errorf("got %v", err)
	}
}

func TestFaults(t *testing.T) {
	for name, fault := range map[string]sandboxtest.Fault{
		"throttled":       cloudtest.RefuseGCP(403, "rateLimitExceeded", "Quota exceeded"),
		"internal error":  cloudtest.RefuseGCP(500, "backendError", "Internal error"),
		"429":             sandboxtest.Refuse(http.StatusTooManyRequests, 0),
		"dropped":         sandboxtest.Drop,
		"answer dropped":  sandboxtest.DropAnswer,
		"answer cut":      sandboxtest.HalfAnswer,
		"answer replaced": sandboxtest.ReplaceAnswer(http.StatusBadGateway),
	} {
		t.Run(name, func(t *testing.T) {
			cloud, c := open(t)
			cloud.AddInstance(machine.String(), Running)
			for _, call := range []string{"instances.get", "instances.stop", "instances.start", "operations.get"} {
				cloud.Fault(call, fault)
			}
			if name != "throttled" { // a token server has other words for that
				cloud.Fault("token", fault)
			}
			if err := c.Stop(t.Context(), machine); err != nil {
				t.Fatal(err)
			}
			reach(t, c, machine, Stopped)
			if err := c.Start(t.Context(), machine); err != nil {
				t.Fatal(err)
			}
			if got := cloud.State(machine.String()); got != Running {
				t.Errorf("instance is %s", got)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	cloud, c := open(t)
	cloud.AddInstance(machine.String(), Running)
	cloud.Fault("instances.stop", cloudtest.RefuseGCP(403, "forbidden", "Required 'compute.instances.stop' permission"))
	err := c.Stop(t.Context(), machine)
	var e *cloudapi.Error
	if !errors.As(err, &e) || e.Reason != "forbidden" || e.Code != 403 || e.Hint == "" || cloud.Calls("instances.stop") != 1 {
		t.Errorf("got %v after %d calls", err, cloud.Calls("instances.stop"))
	}
	cloud.Revoke()
	if _, err := c.Status(t.Context(), machine); !errors.As(err, &e) || e.Code != 401 || !strings.Contains(e.Hint, "gcloud auth") {
		t.Errorf("got %v for a token that was revoked", err)
	}
	// A project that is not there is no proof that the instance is gone.
	cloud.Fault("instances.get", cloudtest.RefuseGCP(404, "notFound", "The resource 'projects/project-1' was not found"))
	if status, err := Open(Options{}).Status(t.Context(), machine); err == nil {
		t.Errorf("got %q for a project that is not there", status)
	}
}

func TestNoCredentials(t *testing.T) {
	_, _ = open(t)
	var e *cloudapi.Error
	missing := filepath.Join(t.TempDir(), "missing.json")
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", missing)
	_, err := Open(Options{}).Status(t.Context(), machine)
	if !errors.As(err, &e) || e.Reason != cloudapi.Credentials || !strings.Contains(err.Error(), missing) || e.Hint == "" {
		t.Errorf("got %v, want to hear which file is not there", err)
	}
	// Another key than the account's: the token server refuses.
	file := filepath.Join(t.TempDir(), "key.json")
	other := cloudtest.NewGCP(t)
	content, err := os.ReadFile(other.Env()["GOOGLE_APPLICATION_CREDENTIALS"])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	other.Fault("token", cloudtest.RefuseGCP(401, "x", "x"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	if _, err := Open(Options{}).Status(t.Context(), machine); !errors.As(err, &e) || e.Reason != cloudapi.Credentials || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v, want to hear that the credentials were refused", err)
	}
}

func TestEndpointIsAURL(t *testing.T) {
	t.Setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", "no-url")
	if _, err := Open(Options{}).Status(t.Context(), machine); err == nil || !strings.Contains(err.Error(), "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE") {
		t.Errorf("got %v", err)
	}
}

// The token goes to the endpoint and nowhere else, whatever the answer says.
func TestRedirectIsNotFollowed(t *testing.T) {
	_, _ = open(t)
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer thief.Close()
	server := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	t.Setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", server.URL)
	c := Open(Options{})
	defer c.Close()
	var e *cloudapi.Error
	if _, err := c.Status(t.Context(), machine); !errors.As(err, &e) || e.Code != http.StatusTemporaryRedirect {
		t.Errorf("got %v", err)
	}
}

// The token server never answers: the call ends with its context.
func TestSilentTokenServer(t *testing.T) {
	cloud, c := open(t)
	asked, release := make(chan struct{}), make(chan struct{})
	cloud.Fault("token", func(http.ResponseWriter, *http.Request, http.Handler) {
		close(asked)
		<-release
		panic(http.ErrAbortHandler)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := c.Status(ctx, machine)
	close(release)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Whatever is accepted as an instance stays one segment each of a URL.
func TestParseInstance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringMatching(`[a-z0-9.:-]{1,9}/[a-z0-9.:-]{1,9}/[a-z0-9.:-]{1,9}`), rapid.String(),
		).Draw(t, "name")
		i, err := ParseInstance(s)
		if err != nil {
			return
		}
		if i.String() != s {
			t.Fatalf("%q became %q", s, i)
		}
		if path := i.call("get", http.MethodGet).path; strings.Count(path, "/") != 5 || strings.Contains(path, "..") && strings.Contains(path, "/../") {
			t.Fatalf("%q became the path %q", s, path)
		}
	})
	for _, bad := range []string{"", "a/b", "a/b/c/d", "../b/c", "a/b/..", "a/b/c?x", "a//c", "A/b/c", "a/b/c%2f"} {
		if i, err := ParseInstance(bad); err == nil {
			t.Errorf("%q was accepted as %v", bad, i)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(404, `{"error": {"message": "not found", "errors": [{"reason": "notFound"}]}}`)
	f.Add(500, "<html>")
	f.Add(403, `{"error": {"message": "a\nb"}}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		err := machine.call("get", http.MethodGet).refusal(&cloudapi.Answer{Status: status, Body: []byte(body)})
		if err == nil || strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("status %d, body %q: got %v", status, body, err)
		}
	})
}

// An embedding program brings its own credentials, and is asked again until there are some.
func TestSource(t *testing.T) {
	cloud, _ := open(t)
	cloud.AddInstance(machine.String(), Running)
	asked := 0
	c := Open(Options{Source: func(ctx context.Context) (oauth2.TokenSource, error) {
		if asked++; asked == 1 {
			return nil, errors.New("the vault is sealed")
		}
		return DefaultSource(ctx)
	}})
	t.Cleanup(c.Close)
	var e *cloudapi.Error
	if _, err := c.Status(t.Context(), machine); !errors.As(err, &e) || e.Reason != cloudapi.Credentials || !strings.Contains(err.Error(), "the vault is sealed") {
		t.Errorf("got %v, want the source's own words", err)
	}
	for range 2 {
		if status, err := c.Status(t.Context(), machine); err != nil || status != Running {
			t.Errorf("got %q, %v", status, err)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want 2: it failed once", asked)
	}
}
