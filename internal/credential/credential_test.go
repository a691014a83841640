package credential_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/credential"
)

// A proxy that prints what it got, with any status.
func TestTransport(t *testing.T) {
	for _, status := range []int{200, 403, 502} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			w.Header().Set("Warning", `299 - "`+r.Header.Get("Authorization")+`"`)
			w.WriteHeader(status)
			for _, text := range []string{"<h1>sorry</h1>", r.Header.Get("Authorization"), user, password, url.QueryEscape(password), r.Header.Get("X-Amz-Security-Token")} {
				if _, err := io.WriteString(w, text+"\n"); err != nil {
					t.Error(err)
				}
			}
		}))
		defer server.Close()
		client := &http.Client{Transport: credential.Transport(http.DefaultTransport)}
		for _, set := range []func(*http.Request){
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer hush-token") },
			func(r *http.Request) { r.SetBasicAuth("alice", "hush/pass+word") },
			func(r *http.Request) {
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=0")
				r.Header.Set("X-Amz-Security-Token", "hush-session")
			},
		} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			set(req)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
			all := string(body) + resp.Header.Get("Warning")
			if strings.Contains(all, "hush") || !strings.Contains(all, credential.Redacted) || !strings.Contains(all, "sorry") || resp.StatusCode != status {
				t.Errorf("got %d %q, want all but the credential", resp.StatusCode, all)
			}
			if resp.ContentLength >= 0 && resp.ContentLength != int64(len(body)) {
				t.Errorf("got a length of %d, want %d", resp.ContentLength, len(body))
			}
		}
	}
}

// What is short would be found everywhere.
func TestScrubLeavesTheRest(t *testing.T) {
	const text = "pods \"a\" is forbidden"
	if got := credential.Scrub([]byte(text), http.Header{"Authorization": {"Bearer a"}}); string(got) != text {
		t.Errorf("got %q, want %q", got, text)
	}
}

// An answer that breaks off stays broken: half a list is no list.
func TestTransportBrokenAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		if _, err := io.WriteString(w, "half"); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	client := &http.Client{Transport: credential.Transport(http.DefaultTransport)}
	resp, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "half" {
		t.Errorf("got %q, %v, want the half and an error", body, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}
