package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"github.com/ebb-chaos/ebb/sandbox/cell"
)

// nodeClientName is the name in the certificate with which the API server connects to the nodes'
// server.
const nodeClientName = "kube-apiserver-node-client"

// idleLimit ends an exec after this long without any data.
const idleLimit = 4 * time.Hour

// A nodeServer does what the API server asks kubelets for. One serves all nodes.
type nodeServer struct {
	cells *cells
}

func (s *nodeServer) run(ctx context.Context, listener net.Listener, creds *credentials, log io.Writer) error {
	pair, err := tls.LoadX509KeyPair(creds.nodeServer, creds.nodeServer)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(creds.ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return fmt.Errorf("no certificate in %q", creds.ca)
	}
	apiServer := func(c *x509.Certificate) bool { return c.Subject.CommonName == nodeClientName }
	administrator := func(c *x509.Certificate) bool { return slices.Contains(c.Subject.Organization, masters) }
	mux := http.NewServeMux()
	mux.Handle("/exec/{namespace}/{pod}/{container}", onlyFor(apiServer, s.exec))
	mux.Handle("/exec/{namespace}/{pod}/{uid}/{container}", onlyFor(apiServer, s.exec))
	mux.Handle("GET /containerLogs/{namespace}/{pod}/{container}", onlyFor(apiServer, s.logs))
	// Not through the API server, which forwards nothing to a loopback address.
	mux.Handle("POST /run/{node}", onlyFor(administrator, s.runOnNode))
	server := &http.Server{
		Handler: mux,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12,
			ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		},
		// HTTP/2 can't be upgraded to SPDY.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		ErrorLog:     stdlog.New(log, "nodes: ", 0),
		ConnContext:  untilClosed,
	}
	stop := context.AfterFunc(ctx, func() {
		if err := server.Close(); err != nil {
			server.ErrorLog.Print(err)
		}
	})
	defer stop()
	err = server.ServeTLS(&watchedListener{listener}, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// onlyFor refuses clients whose certificate has another name, even if the CA signed it.
func onlyFor(allowed func(*x509.Certificate) bool, h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := r.TLS.PeerCertificates[0]; !allowed(c) {
			http.Error(w, fmt.Sprintf("user %q may not do this", c.Subject.CommonName), http.StatusForbidden)
			return
		}
		h(w, r)
	})
}

// find returns a running container, or answers the request with an error.
func (s *nodeServer) find(w http.ResponseWriter, r *http.Request) (*corev1.Pod, *corev1.Container) {
	namespace, name, container := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")
	pod, err := s.cells.client.CoreV1().Pods(namespace).Get(r.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		http.Error(w, fmt.Sprintf("pod %q not found", name), http.StatusNotFound)
		return nil, nil
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil, nil
	}
	if uid := r.PathValue("uid"); uid != "" && uid != string(pod.UID) {
		http.Error(w, fmt.Sprintf("pod %q has another UID", name), http.StatusNotFound)
		return nil, nil
	}
	containers := longRunning(pod)
	i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == container })
	if i < 0 || pod.Status.Phase != corev1.PodRunning {
		http.Error(w, fmt.Sprintf("container not found (%q)", container), http.StatusNotFound)
		return nil, nil
	}
	return pod, &containers[i]
}

// longRunning returns the containers that run as long as their pod, including native sidecars.
func longRunning(pod *corev1.Pod) []corev1.Container {
	sidecars := slices.DeleteFunc(slices.Clone(pod.Spec.InitContainers), func(c corev1.Container) bool {
		return c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways
	})
	return append(sidecars, pod.Spec.Containers...)
}

func (s *nodeServer) exec(w http.ResponseWriter, r *http.Request) {
	pod, container := s.find(w, r)
	if pod == nil {
		return
	}
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(w, r, &execution{s.cells, pod, container}, pod.Name, string(pod.UID), container.Name,
		r.URL.Query()["command"], options, idleLimit, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *nodeServer) logs(w http.ResponseWriter, r *http.Request) {
	pod, container := s.find(w, r)
	if pod == nil {
		return
	}
	text, err := s.cells.readLog(r.Context(), pod, container.Name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	query := r.URL.Query()
	if n, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		text = lastLines(text, n)
	}
	if n, err := strconv.Atoi(query.Get("limitBytes")); err == nil {
		text = text[:min(len(text), n)]
	}
	if _, err := io.WriteString(w, text); err != nil {
		return // the client has gone
	}
}

func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// runOnNode is not part of a kubelet's API: it lets a test look at a node without a pod.
func (s *nodeServer) runOnNode(w http.ResponseWriter, r *http.Request) {
	node := r.PathValue("node")
	_, err := s.cells.client.CoreV1().Nodes().Get(r.Context(), node, metav1.GetOptions{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	var answer result
	shell, err := s.cells.shell(r.Context(), node)
	if err == nil {
		answer, err = capture(r.Context(), shell, cell.Command{Args: r.URL.Query()["command"], Env: containerEnv(nil)})
	}
	if code, text := refusal(err); code != 0 {
		answer, err = result{Stderr: text + "\n", Code: code}, nil
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		return // the client has gone
	}
}

// An execution is one command in one container.
type execution struct {
	cells     *cells
	pod       *corev1.Pod
	container *corev1.Container
}

// ExecInContainer returns a CodeExitError for a code other than 0.
func (e *execution) ExecInContainer(ctx context.Context, _, _, _ string, args []string, in io.Reader, out, errs io.WriteCloser,
	terminal bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	s := streams{in: in, terminal: terminal, resize: resize}
	// An interface that holds a nil pointer is not nil.
	if out != nil {
		s.out = out
	}
	if errs != nil {
		s.err = errs
	}
	command := cell.Command{Args: args, Env: containerEnv(e.container.Env)}
	code := 0
	c, err := e.cells.container(ctx, e.pod, e.container)
	if err == nil {
		code, err = runCommand(ctx, c, command, s)
	}
	if refused, text := refusal(err); refused != 0 {
		code, err = refused, nil
		to := s.err
		if to == nil {
			to = s.out // a terminal has only one output
		}
		if to != nil {
			_, err = fmt.Fprintln(to, text)
		}
	}
	if err == nil && code != 0 {
		err = utilexec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: code}
	}
	return err
}

// refusal returns the exit code for a command that was not started, and 0 for other errors.
func refusal(err error) (code int, text string) {
	var start *cell.StartError
	var unsupported *cell.UnsupportedError
	switch {
	case errors.As(err, &start):
		return start.Code, start.Text
	case errors.As(err, &unsupported):
		return 126, err.Error()
	}
	return 0, ""
}

// containerEnv returns the variables with values in the pod. It leaves out those whose values are
// elsewhere.
func containerEnv(vars []corev1.EnvVar) []string {
	env := []string{"PATH=/usr/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
	for _, v := range vars {
		if v.ValueFrom == nil {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return env
}
