package kube

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// A redirect to another host would take the credentials along.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/namespaces/ns/configmaps/there":
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		case "/api/v1/namespaces/ns/configmaps/here":
			http.Redirect(w, r, "/moved", http.StatusTemporaryRedirect)
		default:
			if _, err := io.WriteString(w, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"here","namespace":"ns","uid":"1"}}`); err != nil {
				t.Error(err)
			}
		}
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	authority := func(s *httptest.Server) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	}
	content := fmt.Sprintf("{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {token: hush}}], clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]}",
		server.URL, base64.StdEncoding.EncodeToString(append(authority(server), authority(other)...)))
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, file, Options{Patience: 100 * time.Millisecond})
	if _, err := c.Get(t.Context(), configMap, "ns", "here"); err != nil {
		t.Errorf("a redirect on the same host: %v", err)
	}
	if _, err := c.Get(t.Context(), configMap, "ns", "there"); err == nil {
		t.Error("got an answer from elsewhere")
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("another host got %d requests with our token", n)
	}
}
