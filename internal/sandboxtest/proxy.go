package sandboxtest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Fault is what happens to one request: it gets the request and what passes it on
// to the API server.
type Fault func(w http.ResponseWriter, r *http.Request, forward http.Handler)

// Pass forwards the request and its answer.
func Pass(w http.ResponseWriter, r *http.Request, forward http.Handler) { forward.ServeHTTP(w, r) }

// Drop resets the connection before anything is forwarded.
func Drop(w http.ResponseWriter, _ *http.Request, _ http.Handler) { reset(w) }

// DropAnswer forwards the request, waits for its answer and resets the connection.
func DropAnswer(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	forward.ServeHTTP(httptest.NewRecorder(), r)
	reset(w)
}

// HalfAnswer forwards the request, and half of its answer.
func HalfAnswer(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	whole := httptest.NewRecorder()
	forward.ServeHTTP(whole, r)
	for key, values := range whole.Header() {
		w.Header()[key] = values
	}
	body := whole.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(whole.Code)
	if _, err := w.Write(body[:len(body)/2]); err == nil {
		panic(http.ErrAbortHandler) // net/http's way to break off
	}
}

// ReplaceAnswer forwards the request and puts another status in the place of its answer.
func ReplaceAnswer(code int) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		forward.ServeHTTP(httptest.NewRecorder(), r)
		http.Error(w, http.StatusText(code), code)
	}
}

// Refuse answers with a status, without forwarding. retryAfter 0 gives the client no hint.
func Refuse(code int, retryAfter time.Duration) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
		}
		http.Error(w, http.StatusText(code), code)
	}
}

// Silent takes the request and never answers: it ends when the client has gone.
func Silent(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	// Only once a body has been read does net/http notice that the client goes.
	if _, err := io.Copy(io.Discard, r.Body); err == nil {
		<-r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

// Hold forwards the request only once the channel is closed, and forwards it even if
// the client has gone: such is a request that lands late.
func Hold(release <-chan struct{}) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			reset(w)
			return
		}
		<-release
		late := r.Clone(context.WithoutCancel(r.Context()))
		late.Body = io.NopCloser(bytes.NewReader(body))
		// Not to w: a ReverseProxy asks a ResponseWriter too whether the client has gone.
		answer := httptest.NewRecorder()
		forward.ServeHTTP(answer, late)
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		if _, err := w.Write(answer.Body.Bytes()); err != nil {
			reset(w)
		}
	}
}

// Late breaks the connection off at once, and forwards the request only once the channel
// is closed: its client has tried again by then.
func Late(release <-chan struct{}) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			reset(w)
			return
		}
		later := r.Clone(context.WithoutCancel(r.Context()))
		later.Body = io.NopCloser(bytes.NewReader(body))
		go func() {
			<-release
			defer func() {
				if p := recover(); p != nil && p != http.ErrAbortHandler { // the API server is gone, or it was an exec
					panic(p)
				}
			}()
			forward.ServeHTTP(httptest.NewRecorder(), later)
		}()
		reset(w)
	}
}

// Proxy stands between a client and the API server.
type Proxy struct {
	forward http.Handler
	config  *tls.Config
	port    *net.TCPAddr

	mu     sync.Mutex
	decide func(*http.Request) Fault
	seen   []string
	server *http.Server
	done   chan error
}

// FaultProxy starts a proxy in front of the kubeconfig's API server, and returns it
// with a kubeconfig for it. It speaks to the API server as the kubeconfig's user,
// whatever it is sent, and passes everything on until told otherwise.
func FaultProxy(t testing.TB, kubeconfig string) (*Proxy, string) {
	t.Helper()
	return faultProxy(t, kubeconfig, "http/1.1")
}

// FaultProxyHTTP2 speaks HTTP/2 to the client, as an API server does: there, what is
// dropped is a stream rather than the connection. Only Stop cuts connections.
func FaultProxyHTTP2(t testing.TB, kubeconfig string) (*Proxy, string) {
	t.Helper()
	return faultProxy(t, kubeconfig, "h2")
}

func faultProxy(t testing.TB, kubeconfig, protocol string) (*Proxy, string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	// HTTP/2 has no Upgrade, which exec needs.
	config.NextProtos = []string{"http/1.1"}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	upstream, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	certificate, authority := selfSigned(t)
	p := &Proxy{
		config: &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{protocol}},
		forward: &httputil.ReverseProxy{
			Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(upstream); r.Out.Header.Del("Authorization") },
			Transport:     transport,
			FlushInterval: -1,
			ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { reset(w) },
			ErrorLog:      log.New(io.Discard, "", 0),
		},
	}
	p.reserve(t)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
		utilnet.CloseIdleConnectionsFor(transport)
	})
	out := clientcmdapi.NewConfig()
	out.Clusters["proxy"] = &clientcmdapi.Cluster{Server: "https://" + p.port.String(), CertificateAuthorityData: authority}
	out.AuthInfos["proxy"] = &clientcmdapi.AuthInfo{}
	out.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy", AuthInfo: "proxy"}
	out.CurrentContext = "proxy"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*out, file); err != nil {
		t.Fatal(err)
	}
	return p, file
}

// Handle decides what happens to the requests that follow. A nil fault passes.
func (p *Proxy) Handle(decide func(*http.Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.decide = decide
}

// Script gives the requests of one method their faults, one after the other, and
// passes all others.
func (p *Proxy) Script(method string, faults ...Fault) {
	var mu sync.Mutex
	p.Handle(func(r *http.Request) Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.Method != method || len(faults) == 0 {
			return nil
		}
		next := faults[0]
		faults = faults[1:]
		return next
	})
}

// Requests returns what was asked so far: "DELETE /api/v1/…?timeout=10s".
func (p *Proxy) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.seen...)
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Method+" "+r.URL.RequestURI())
	var fault Fault
	if p.decide != nil {
		fault = p.decide(r)
	}
	p.mu.Unlock()
	if fault == nil {
		fault = Pass
	}
	fault(w, r, p.forward)
}

// Start listens, again if need be, on the proxy's port.
func (p *Proxy) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return errors.New("proxy: already started")
	}
	listener, err := (&net.ListenConfig{Control: sharePort}).Listen(context.Background(), "tcp", p.port.String())
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	server := &http.Server{Handler: http.HandlerFunc(p.serve), TLSConfig: p.config, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- server.ServeTLS(listener, "", "") }()
	p.server, p.done = server, done
	return nil
}

// Stop closes the port and every connection: the API server is down.
func (p *Proxy) Stop() error {
	p.mu.Lock()
	server, done := p.server, p.done
	p.server = nil
	p.mu.Unlock()
	if server == nil {
		return nil
	}
	if err := server.Close(); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("proxy: %w", err)
	}
	return nil
}

// reserve takes a free port for as long as the test runs: bound, but not listened
// on, it refuses connections and nobody else gets it while the proxy is stopped.
func (p *Proxy) reserve(t testing.TB) {
	t.Helper()
	p.port = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: boundPort(t, unix.SO_REUSEPORT)}
}

// boundPort binds a socket of the loopback address until the test's end. The option says who may
// listen there.
func boundPort(t testing.TB, option int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Close(fd); err != nil {
			t.Error(err)
		}
	})
	unix.CloseOnExec(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return address.(*unix.SockaddrInet4).Port
}

func sharePort(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return errors.Join(err, failed)
}

// reset breaks the connection off; over HTTP/2, the stream.
func reset(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if plain, ok := conn.(*net.TCPConn); ok && plain.SetLinger(0) != nil {
		panic(http.ErrAbortHandler)
	}
	if conn.Close() != nil {
		panic(http.ErrAbortHandler)
	}
}

// selfSigned returns a certificate for the loopback address, which is its own authority.
func selfSigned(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
