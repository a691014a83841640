package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

const upUsage = `ebb-sandbox up starts a cluster, prints the line "ready" when pods can be
scheduled, and runs until SIGINT, SIGTERM or SIGHUP.

Without --data it leaves nothing behind. With it, the directory keeps the
cluster: the next start has the same objects, UIDs and certificates. An old
kubeconfig goes on working if --port is the same too.
`

type upOptions struct {
	kubeconfig string
	data       string
	nodes      int
	zones      []string
	port       int
	withParent bool
	verbose    bool
}

func runUp(args []string, stdout, stderr io.Writer) error {
	var o upOptions
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "write the administrator's kubeconfig to `FILE` (required)")
	flags.StringVar(&o.data, "data", "", "keep the cluster's state in `DIR` (default: a temporary directory, removed at the end)")
	flags.IntVar(&o.nodes, "nodes", 2, "make `N` worker nodes, 1 to 100; nodes kept in --data stay")
	flags.StringSliceVar(&o.zones, "zones", []string{"zone-a", "zone-b"}, "spread the nodes over these `ZONES`")
	flags.IntVar(&o.port, "port", 0, "serve the API on this loopback `PORT` (default: a free one)")
	flags.BoolVar(&o.withParent, "with-parent", false, "end when the process that started this one is gone, or closes the pipe on standard input")
	flags.BoolVar(&o.verbose, "verbose", false, "show the components' logs on stderr instead of keeping them in the data directory")
	if err := parseFlags(flags, args, upUsage, stdout); err != nil {
		return err
	}
	if err := requireFlags(flags, "kubeconfig"); err != nil {
		return err
	}
	if o.nodes < 1 || o.nodes > 100 {
		return &usageError{fmt.Errorf("up: --nodes is %d, want 1 to 100", o.nodes)}
	}
	if o.port < 0 || o.port > 65535 {
		return &usageError{fmt.Errorf("up: --port is %d, want 0 to 65535", o.port)}
	}
	if err := checkZones(o.zones); err != nil {
		return &usageError{fmt.Errorf("up: %w", err)}
	}
	// Before anything is created, so that a signal always cleans up.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	// Writing "ready" to a closed pipe is an error, and does not end the process.
	signal.Ignore(syscall.SIGPIPE)
	if o.withParent {
		ctx = withParent(ctx, os.Stdin)
	}
	return up(ctx, o, stdout, stderr)
}

// up runs a cluster until ctx ends.
func up(ctx context.Context, o upOptions, stdout, stderr io.Writer) (err error) {
	kubeconfig, err := filepath.Abs(o.kubeconfig)
	if err != nil {
		return err
	}
	// Check at once what would only fail after seconds.
	if err := checkReplaceable(kubeconfig); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Dir(kubeconfig)); err != nil {
		return fmt.Errorf("no place for the kubeconfig: %w", err)
	}

	d, err := openDataDir(o.data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	log, closeLog, err := openLog(d.file("log"), o.verbose, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()

	// Never closed here: if the API server still runs, it panics when its listener is closed.
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", o.port))
	if err != nil {
		return fmt.Errorf("take a port for the API server: %w", err)
	}
	creds, err := newCredentials(d, "https://"+listener.Addr().String())
	if err != nil {
		return err
	}
	defer func() {
		if d.temporary {
			err = errors.Join(err, removeKubeconfig(kubeconfig, creds.admin))
		}
	}()
	err = runCluster(ctx, o, d, creds, listener, log, func() error {
		if err := writeKubeconfig(kubeconfig, creds.admin); err != nil {
			return err
		}
		_, err := fmt.Fprintln(stdout, "ready")
		return err
	})
	var hinted *hintError
	switch {
	case err == nil || errors.As(err, &hinted) || o.verbose:
		return err
	case d.temporary:
		return withHint(err, "--verbose shows what the components say")
	default:
		return withHint(err, fmt.Sprintf("see %q for what the components said", d.file("log")))
	}
}

// runCluster starts everything, calls ready once, and returns when ctx has ended and everything is
// stopped.
func runCluster(ctx context.Context, o upOptions, d *dataDir, creds *credentials, listener net.Listener, log io.Writer, ready func() error) (err error) {
	// The heap is mostly long-lived caches: 50 costs little time and saves about a quarter of the
	// memory.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	c, err := newControlPlane(d, creds, listener, log)
	if err != nil {
		return err
	}
	store, err := startEtcd(d.file("etcd"), d.sockets, log)
	if err != nil {
		return err
	}
	defer store.close() // last: the components write to it until they end

	nodeListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("take a port for the nodes: %w", err)
	}
	cells := &cells{log: log}
	defer func() { err = errors.Join(err, cells.close()) }()

	g := newGroup(ctx)
	defer g.stop()
	g.run("etcd", store.run)
	// Kubernetes calls os.Exit when a server can't continue. We have to clean up first.
	klog.OsExit = func(code int) {
		g.fail(fmt.Errorf("a component gave up (exit code %d)", code))
		select {} // the callers in klog rely on this never returning
	}
	start := time.Now()
	g.run("kube-apiserver", c.runAPIServer)
	client, err := adminClient(creds.admin)
	if err != nil {
		return err
	}
	err = g.poll("the API server to be ready", func(ctx context.Context) (bool, error) {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, err
	})
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	g.run("kube-controller-manager", c.runControllers)
	g.run("kube-scheduler", c.runScheduler)
	if err := createStorageClass(ctx, client); err != nil {
		return ignoreEnd(ctx, err)
	}
	cells.client = client
	port := nodeListener.Addr().(*net.TCPAddr).Port
	// The API server waits for running commands.
	context.AfterFunc(g.ctx, func() {
		if err := cells.close(); err != nil {
			klog.ErrorS(err, "Ending the pods' processes")
		}
	})
	g.run("nodes' server", func(ctx context.Context) error { return (&nodeServer{cells}).run(ctx, nodeListener, creds, log) })
	g.run("lifecycles", func(ctx context.Context) error { return runLifecycles(ctx, cells, log) })
	g.run("kubelets", func(ctx context.Context) error { return runKubelets(ctx, creds.nodesConfig, port, log) })
	if err := startNodes(ctx, g, client, newNodes(o.nodes, o.zones), port, start); err != nil {
		return ignoreEnd(ctx, err)
	}
	if err := ready(); err != nil {
		return err
	}
	return ignoreEnd(ctx, g.wait())
}

// startNodes returns when pods of the default namespace can run on all nodes.
func startNodes(ctx context.Context, g *group, client kubernetes.Interface, nodes []*corev1.Node, port int, start time.Time) error {
	if err := createNodes(ctx, client, nodes); err != nil {
		return err
	}
	if err := announcePort(ctx, client, port); err != nil {
		return err
	}
	err := g.poll("the default service account", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
	for _, node := range nodes {
		if err != nil {
			return err
		}
		err = g.poll(fmt.Sprintf("node %q to be ready", node.Name), func(ctx context.Context) (bool, error) {
			return nodeReady(ctx, client, node.Name, port, start)
		})
	}
	return err
}
