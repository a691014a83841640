package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func clientset(ts *testscript.TestScript) *kubernetes.Clientset {
	config, err := clientcmd.BuildConfigFromFlags("", ts.Getenv("KUBECONFIG"))
	ts.Check(err)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	ts.Check(err)
	return client
}

// netnode VAR... makes nodes of the script's own, since what is done to a node's network
// would disturb other scripts, and puts their names into variables. They are labelled
// test=$NS and have a network: a script ends here where the machine can't give them one.
func cmdNetNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: netnode VAR...")
	}
	sandboxtest.NeedTools(testOf(ts), "ip", "tc", "iptables", "nsenter")
	client := clientset(ts)
	for _, variable := range args {
		name := ts.Getenv("NS") + "-" + strings.ToLower(variable)
		_, err := client.CoreV1().Nodes().Create(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			Labels: map[string]string{"kubernetes.io/hostname": name, "test": ts.Getenv("NS")},
		}, Spec: corev1.NodeSpec{
			Unschedulable: true, // pods of other scripts must not come here
		}}, metav1.CreateOptions{})
		ts.Check(err)
		ts.Defer(func() {
			if err := client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				ts.Logf("delete node %s: %v", name, err)
			}
		})
		ts.Setenv(variable, name)
		if !eventually(func() bool {
			node, err := client.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
			ts.Check(err)
			return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			})
		}) {
			ts.Fatalf("node %s is not ready", name)
		}
		if out, code := onNode(ts, name, "ip", "link", "show", "dev", "eth0"); code != 0 {
			testOf(ts).Skipf("SKIPPED, NOTHING OF THIS WAS TESTED: nodes have no network on this machine: %s", out)
		}
	}
}

// losenode NODE takes a node out of the cluster.
func cmdLoseNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: losenode NODE")
	}
	ts.Check(clientset(ts).CoreV1().Nodes().Delete(context.Background(), args[0], metav1.DeleteOptions{}))
}

// onNode runs a command in a node's network, not through ebb, and returns its outputs, joined, and its exit code.
func onNode(ts *testscript.TestScript, node string, command ...string) (string, int) {
	r := sandboxtest.OnNode(testOf(ts), node, command...)
	if r.Unsupported() {
		testOf(ts).Skipf("SKIPPED, NOTHING OF THIS WAS TESTED: %s", r.Stderr)
	}
	return r.Stdout + r.Stderr, r.Code
}

// onnode NODE FILE COMMAND ARG... writes what a command says to FILE, "-" for nowhere. With ! it must fail.
func cmdOnNode(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: onnode NODE FILE COMMAND ARG...")
	}
	out, code := onNode(ts, args[0], args[2:]...)
	if neg != (code != 0) {
		ts.Fatalf("onnode %s: exit code is %d; it said:\n%s", args[0], code, out)
	}
	if args[1] != "-" {
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(out), 0o600))
	}
}

// waitnode NODE COMMAND ARG... waits until a command succeeds.
func cmdWaitNode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitnode NODE COMMAND ARG...")
	}
	var out string
	var code int
	if !eventually(func() bool { out, code = onNode(ts, args[0], args[1:]...); return code == 0 }) {
		ts.Fatalf("waitnode %s: exit code is still %d; it said:\n%s", args[0], code, out)
	}
}

// What there is in a network that chaos can change.
const networkState = "iptables -S; tc qdisc show | sed 's/direct_packets_stat [0-9]*//'; tc class show dev eth0; tc filter show dev eth0 parent ffff:; ip -4 route; ip -4 address show dev eth0; ip -brief link | cut -d ' ' -f 1; ip link show dev eth0"

// netstate NODE FILE writes the state of a node's network: two are the same when nothing was changed.
func cmdNetState(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: netstate NODE FILE")
	}
	out, _ := onNode(ts, args[0], "sh", "-c", networkState)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(out), 0o600))
}

// hasNetem reports whether the kernel of this machine, which the nodes have too, can delay and lose packets.
var hasNetem = sync.OnceValue(func() bool {
	const probe = "ip link add probe type veth peer name eborp && tc qdisc add dev probe root netem delay 1ms"
	out, err := exec.Command("unshare", "--map-root-user", "--net", "sh", "-c", probe).CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "WARNING: no netem on this machine, latency and loss are only tested to fail cleanly: %s%v\n", out, err)
	}
	return err == nil
})
