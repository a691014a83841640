package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// bench is what all rows share: the binaries, a control plane, and a directory that goes at the end.
type bench struct {
	ebb, self  string
	under      []string // what runs ebb, nothing for itself
	dir        string
	kubeconfig string
	client     dynamic.Interface
	sandbox    *exec.Cmd
	life       io.Closer // the sandbox ends when this is closed
	templates  map[string]*template
}

var (
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	services   = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	policies   = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}
)

func newBench(ctx context.Context, ebb, sandbox string) (b *bench, err error) {
	b = &bench{templates: map[string]*template{}}
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.ebb, err = filepath.Abs(ebb); err != nil {
		return nil, err
	}
	if _, err := os.Stat(b.ebb); err != nil {
		return nil, fmt.Errorf("%w: make build", err)
	}
	if b.dir, err = os.MkdirTemp("", "ebb-bench-"); err != nil {
		return nil, err
	}
	b.kubeconfig = filepath.Join(b.dir, "kubeconfig")
	if err := b.startSandbox(ctx, sandbox); err != nil {
		return nil, errors.Join(err, b.close())
	}
	config, err := clientcmd.BuildConfigFromFlags("", b.kubeconfig)
	if err == nil {
		config.QPS = -1
		b.client, err = dynamic.NewForConfig(config)
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) startSandbox(ctx context.Context, binary string) error {
	b.sandbox = exec.Command(binary, "up", "--with-parent", "--kubeconfig", b.kubeconfig)
	b.sandbox.Stderr = os.Stderr
	out, err := b.sandbox.StdoutPipe()
	if err != nil {
		return err
	}
	if b.life, err = b.sandbox.StdinPipe(); err != nil {
		return err
	}
	if err := b.sandbox.Start(); err != nil {
		return err
	}
	ready := make(chan bool, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) == "ready" {
				ready <- true
			}
		}
		ready <- false
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case ok := <-ready:
		if !ok {
			return errors.New("the sandbox ended before it was ready")
		}
		return nil
	}
}

func (b *bench) close() error {
	var errs []error
	if b.sandbox != nil && b.sandbox.Process != nil {
		errs = append(errs, b.sandbox.Process.Signal(syscall.SIGTERM), b.life.Close(), b.sandbox.Wait())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// namespace makes one that nothing else uses.
func (b *bench) namespace(ctx context.Context) (string, error) {
	name := fmt.Sprintf("bench-%08x", rand.Uint32())
	_, err := b.client.Resource(namespaces).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name},
	}}, metav1.CreateOptions{})
	return name, err
}

// each does something for 0 to n-1, sixteen at a time.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// poll looks until something is so.
func poll(ctx context.Context, what string, so func() (bool, error)) error {
	for limit := time.Now().Add(3 * time.Minute); ; {
		ok, err := so()
		if ok || err != nil {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s: not so after 3 minutes", what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// empty removes what a namespace has of some kinds, at once.
func (b *bench) empty(ctx context.Context, namespace string) error {
	zero := int64(0)
	for _, kind := range []schema.GroupVersionResource{pods, policies, services, configMaps} {
		client := b.client.Resource(kind).Namespace(namespace)
		err := client.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &zero}, metav1.ListOptions{})
		if err != nil && !apierrors.IsMethodNotSupported(err) {
			return err
		}
		if err := poll(ctx, "no "+kind.Resource+" in "+namespace, func() (bool, error) {
			list, err := client.List(ctx, metav1.ListOptions{})
			if err != nil {
				return false, err
			}
			for _, item := range list.Items {
				if kind == configMaps && item.GetName() == "kube-root-ca.crt" {
					continue
				}
				return false, nil
			}
			return true, nil
		}); err != nil {
			return err
		}
	}
	return nil
}
