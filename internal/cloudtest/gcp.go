package cloudtest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// GCP plays Compute Engine, and the server that gives out tokens.
type GCP struct {
	script
	server *httptest.Server
	key    *rsa.PrivateKey
	file   string

	state      sync.Mutex
	instances  map[string]*vm // by project/zone/name
	operations map[string]*operation
	requests   map[string]string // operation by request ID
	tokens     map[string]bool
	failing    map[string]string // code of the error that the next operation of a verb ends with
}

// vm is a machine: an operation on it needs looks to begin, and then some to end.
type vm struct {
	status, via, target string // target "" is gone
	left                int
	node                node
}

type operation struct {
	name    string
	machine *vm
	code    string // of its error
}

const account = "ebb@test-project.iam.gserviceaccount.com"

// NewGCP starts Compute Engine.
func NewGCP(t testing.TB) *GCP {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &GCP{
		key: key, file: filepath.Join(t.TempDir(), "key.json"),
		instances: map[string]*vm{}, operations: map[string]*operation{}, requests: map[string]string{}, tokens: map[string]bool{}, failing: map[string]string{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, named("token"), g.token) })
	const zone = "/compute/v1/projects/{project}/zones/{zone}"
	mux.HandleFunc("GET "+zone+"/instances/{name}", func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, named("instances.get"), g.get) })
	mux.HandleFunc("GET "+zone+"/operations/{name}", func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, named("operations.get"), g.operation) })
	mux.HandleFunc("POST "+zone+"/instances/{name}/{verb}", func(w http.ResponseWriter, r *http.Request) {
		g.serve(w, r, named("instances."+r.PathValue("verb")), g.change)
	})
	mux.HandleFunc("DELETE "+zone+"/instances/{name}", func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, named("instances.delete"), g.change) })
	g.server = httptest.NewServer(mux)
	t.Cleanup(g.server.Close)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "test-project", "client_email": account, "token_uri": g.server.URL + "/token",
		"private_key_id": "1", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

func named(call string) func([]byte) string { return func([]byte) string { return call } }

// Env is what a program has to find in its environment.
func (g *GCP) Env() map[string]string {
	return map[string]string{
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": g.server.URL,
		"GOOGLE_APPLICATION_CREDENTIALS":          g.file,
	}
}

// AddInstance puts a machine there: "project/zone/name".
func (g *GCP) AddInstance(name, status string) {
	g.state.Lock()
	defer g.state.Unlock()
	g.instances[name] = &vm{status: status, target: status}
}

// State returns what a machine is, or will be when it has finished to start or stop.
func (g *GCP) State(name string) string {
	g.state.Lock()
	defer g.state.Unlock()
	if m := g.instances[name]; m != nil {
		return m.target
	}
	return ""
}

// Fail makes the next operation of a verb end with an error and without an effect.
func (g *GCP) Fail(verb, code string) {
	g.state.Lock()
	defer g.state.Unlock()
	g.failing[verb] = code
}

// Revoke makes all tokens worthless.
func (g *GCP) Revoke() {
	g.state.Lock()
	defer g.state.Unlock()
	clear(g.tokens)
}

// Tokens are what nobody may print.
func (g *GCP) Tokens() []string {
	g.state.Lock()
	defer g.state.Unlock()
	var all []string
	for token := range g.tokens {
		all = append(all, token)
	}
	return all
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(http.ErrAbortHandler) // the client went
	}
}

// RefuseGCP answers as Compute Engine does.
func RefuseGCP(status int, reason, message string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		reply(w, status, map[string]any{"error": map[string]any{
			"code": status, "message": message, "errors": []any{map[string]any{"reason": reason, "message": message}},
		}})
	}
}

func (g *GCP) token(w http.ResponseWriter, r *http.Request, body []byte) {
	form, err := url.ParseQuery(string(body))
	if err == nil {
		err = g.checkAssertion(form)
	}
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": err.Error()})
		return
	}
	token := "token-" + rand.Text()
	g.state.Lock()
	defer g.state.Unlock()
	g.tokens[token] = true
	reply(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
}

// checkAssertion checks what the holder of the account's key signed.
func (g *GCP) checkAssertion(form url.Values) error {
	parts := strings.Split(form.Get("assertion"), ".")
	if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(parts) != 3 {
		return errors.New("no assertion")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
		return err
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return err
	}
	var claims struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		Scope    string `json:"scope"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	if claims.Issuer != account || claims.Audience != g.server.URL+"/token" || claims.Scope != "https://www.googleapis.com/auth/compute" || time.Now().Unix() > claims.Expires {
		return fmt.Errorf("wrong claims: %+v", claims)
	}
	return nil
}

// admit checks the token of a request and finds its machine. The lock is held.
func (g *GCP) admit(w http.ResponseWriter, r *http.Request) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !g.tokens[token] {
		RefuseGCP(http.StatusUnauthorized, "authError", "Invalid Credentials")(w, r, nil)
		return false
	}
	return true
}

func path(r *http.Request) string {
	return r.PathValue("project") + "/" + r.PathValue("zone") + "/" + r.PathValue("name")
}

func notFound(w http.ResponseWriter, r *http.Request, kind string) {
	message := fmt.Sprintf("The resource 'projects/%s/zones/%s/%s/%s' was not found", r.PathValue("project"), r.PathValue("zone"), kind, r.PathValue("name"))
	RefuseGCP(http.StatusNotFound, "notFound", message)(w, r, nil)
}

// look returns what a machine shows, and brings it a step on its way.
func (m *vm) look() string {
	if m.left > 0 {
		m.left--
		switch {
		case m.left >= slowLooks:
			return m.status // not begun
		case m.left > 0:
			m.status = m.via
		default:
			if m.status != m.target && m.target == "RUNNING" {
				m.node.boots++
			}
			m.status = m.target
		}
	}
	return m.status
}

func (g *GCP) get(w http.ResponseWriter, r *http.Request, _ []byte) {
	g.state.Lock()
	defer g.state.Unlock()
	if !g.admit(w, r) {
		return
	}
	m, ok := g.instances[path(r)]
	status := ""
	if ok {
		status = m.look()
	}
	if status == "" {
		notFound(w, r, "instances")
		return
	}
	reply(w, http.StatusOK, map[string]string{"name": r.PathValue("name"), "status": status, "selfLink": "https://www.googleapis.com" + r.URL.Path})
}

func (g *GCP) change(w http.ResponseWriter, r *http.Request, _ []byte) {
	g.state.Lock()
	defer g.state.Unlock()
	if !g.admit(w, r) {
		return
	}
	m, ok := g.instances[path(r)]
	if !ok || m.status == "" {
		notFound(w, r, "instances")
		return
	}
	verb := r.PathValue("verb") // none in a DELETE
	name, again := g.requests[r.URL.Query().Get("requestId")]
	if !again {
		name = fmt.Sprintf("operation-%d", len(g.operations)+1)
		o := &operation{name: name, machine: m, code: g.failing[verb]}
		delete(g.failing, verb)
		from, via, to := "TERMINATED", "STAGING", "RUNNING"
		switch verb {
		case "stop":
			from, via, to = "RUNNING", "STOPPING", "TERMINATED"
		case "reset":
			from, via, to = "RUNNING", "RUNNING", "RUNNING"
		case "":
			from, via, to = m.status, "STOPPING", ""
		}
		switch {
		case m.left > 0 && m.target != to:
			RefuseGCP(http.StatusBadRequest, "resourceNotReady", "The resource is not ready")(w, r, nil)
			return
		case o.code == "" && m.status == from:
			m.via, m.target, m.left = via, to, slowLooks+lateLooks
			if verb == "reset" {
				m.node.reboot()
			}
		}
		g.operations[name] = o
		g.requests[r.URL.Query().Get("requestId")] = name
	}
	reply(w, http.StatusOK, map[string]string{"name": name, "status": "PENDING"})
}

func (g *GCP) operation(w http.ResponseWriter, r *http.Request, _ []byte) {
	g.state.Lock()
	defer g.state.Unlock()
	if !g.admit(w, r) {
		return
	}
	o, ok := g.operations[r.PathValue("name")]
	if !ok {
		notFound(w, r, "operations")
		return
	}
	if o.code != "" {
		reply(w, http.StatusOK, map[string]any{
			"name": o.name, "status": "DONE", "httpErrorStatusCode": 503,
			"error": map[string]any{"errors": []any{map[string]string{"code": o.code, "message": "the zone has no room"}}},
		})
		return
	}
	o.machine.look()
	status := "RUNNING"
	switch {
	case o.machine.left == 0:
		status = "DONE"
	case o.machine.left >= slowLooks:
		status = "PENDING"
	}
	reply(w, http.StatusOK, map[string]string{"name": o.name, "status": status})
}

// Names returns the machines that are there.
func (g *GCP) Names() []string {
	g.state.Lock()
	defer g.state.Unlock()
	return slices.Sorted(maps.Keys(g.instances))
}
