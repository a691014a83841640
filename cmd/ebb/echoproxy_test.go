package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// echoProxy is a broken proxy: it repeats what it was sent, and otherwise passes it on to the API server.
type echoProxy struct {
	plain    *httptest.Server
	secure   *httptest.Server // credential plugins are for TLS only
	repeated atomic.Int64     // how often it saw a credential and repeated it
}

func newEchoProxy(t *testing.T) *echoProxy {
	config, err := clientcmd.BuildConfigFromFlags("", sandboxtest.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Authorization")
	}}
	p := &echoProxy{}
	var busy atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Warning", fmt.Sprintf(`299 - "you said %s"`, r.Header.Get("Authorization")))
		echo := fmt.Sprintf("canonical string: %s %v", r.URL, r.Header)
		refuse := func(status int, kind, body string) {
			if strings.Contains(body, "hush-") {
				p.repeated.Add(1)
			}
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			if _, err := io.WriteString(w, body); err != nil {
				t.Errorf("echo proxy: %v", err)
			}
		}
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/aws"):
			var text bytes.Buffer
			if err := xml.EscapeText(&text, []byte(echo)); err != nil {
				t.Error(err)
			}
			refuse(403, "text/xml", "<Response><Errors><Error><Code>SignatureDoesNotMatch</Code><Message>"+text.String()+"</Message></Error></Errors></Response>")
		case strings.HasPrefix(path, "/token"):
			refuse(200, "application/json", `{"access_token":"hush-gcp-access-token","token_type":"Bearer","expires_in":3600}`)
		case strings.HasPrefix(path, "/gcp"):
			body, err := json.Marshal(map[string]any{"error": map[string]any{"message": echo, "status": "PERMISSION_DENIED"}})
			if err != nil {
				t.Error(err)
			}
			refuse(403, "application/json", string(body))
		case strings.HasSuffix(path, "/pods/echo"):
			refuse(200, "application/json", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"echo"},"status":{"phase":"Running"}}`)
		case strings.HasSuffix(path, "/configmaps/busy") && busy.Add(1)%2 == 1:
			refuse(503, "text/plain", "busy with "+echo)
		case strings.HasSuffix(path, "/configmaps/busy"), strings.HasSuffix(path, "/configmaps/echo"), strings.HasSuffix(path, "/pods/echo/exec"):
			refuse(400, "text/html", "<h1>Bad request</h1> "+echo)
		case strings.HasSuffix(path, "/deployments"):
			body, err := json.Marshal(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: 422, Reason: "Invalid", Message: echo})
			if err != nil {
				t.Error(err)
			}
			refuse(422, "application/json", string(body))
		default:
			pass.ServeHTTP(w, r)
		}
	})
	p.plain, p.secure = httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(p.plain.Close)
	t.Cleanup(p.secure.Close)
	return p
}
