package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func testNeighbours(e *execer) {
	e.pod("target", func(*corev1.Pod) {})
	e.pod("target-2", func(*corev1.Pod) {})
	e.pod("elsewhere", func(p *corev1.Pod) { p.Spec.NodeName = "worker-2" })
	e.pod("helper", powerful)
	uid := string(get(e.T, e.client, "target").UID)
	e.want(uid+"\n", "helper", "chroot /host crictl pods --quiet --name target --namespace default")
	e.want("", "helper", "chroot /host crictl pods -q --name elsewhere")
	e.want("", "helper", "chroot /host crictl pods -q --name target --namespace other")
	e.want(uid+"\n", "helper", `chroot /host crictl ps -q --pod "$1"`, uid)
	e.refused("helper", `chroot /host crictl inspectp no-such-pod`)
	e.refused("helper", `chroot /host crictl inspectp ../..`)
	e.refused("helper", `chroot /host crictl stop "$1"`, uid)
	e.refused("helper", `chroot /host crictl inspectp --output yaml "$1"`, uid)
	r := e.sh("helper", `chroot /host crictl inspectp -o json "$1"`, uid)
	var seen struct {
		Info struct {
			PID int `json:"pid"`
		} `json:"info"`
		Status struct {
			Metadata struct{ Name, Namespace, UID string } `json:"metadata"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &seen); err != nil || seen.Info.PID < 2 || seen.Status.Metadata.UID != uid || seen.Status.Metadata.Name != "target" {
		e.Errorf("got %+v, %v", r, err)
	}
	e.want(fmt.Sprintf("%d\n", seen.Info.PID), "helper", `chroot /host crictl inspect -o go-template --template '{{.info.pid}}' "$1"`, uid)
	// The number is that of the node's processes, and leads to the pod.
	e.want("target\n", "helper", `nsenter --target "$1" --uts hostname`, strconv.Itoa(seen.Info.PID))
	// What the stub knows ends with the pod.
	e.delete("target")
	eventually(e.T, "the pod is forgotten", func() (bool, error) {
		r := e.sh("helper", "chroot /host crictl pods -q --name target")
		return r.Code == 0 && r.Stdout == "", fmt.Errorf("got %+v", r)
	})
	// A cgroup tree is what a test makes of it.
	e.want("", "helper", "mkdir -p /host/sys/fs/cgroup/kubepods; echo '8:0 rbps=max' >/host/sys/fs/cgroup/kubepods/io.max")
	e.pod("cgroups", func(p *corev1.Pod) {
		mount(p, "cgroup", "/sys/fs/cgroup", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/sys/fs/cgroup"}})
	})
	e.want("8:0 rbps=max\n", "cgroups", "cat /sys/fs/cgroup/kubepods/io.max")
}

func testNetworks(e *execer) {
	e.needs("ip")
	host := func(p *corev1.Pod) { powerful(p) }
	e.pod("first", host)
	e.pod("own", func(p *corev1.Pod) { powerful(p); p.Spec.HostNetwork = false })
	for _, p := range []string{"first", "own"} {
		e.want("eth0\n", p, `ip route show default | awk '{print $5}'`)
		e.want("", p, "ip link add mine type veth peer name yours")
	}
	own := get(e.T, e.client, "own")
	e.want(own.Status.PodIP+"\n", "own", `ip -4 -br address show eth0 | awk '{sub("/.*", "", $3); print $3}'`)
	e.delete("first")
	e.pod("second", host)
	e.want("", "second", "ip link show mine >/dev/null")
	e.want("", "second", `ip link show "veth$1" >/dev/null`, strings.ReplaceAll(string(own.UID), "-", "")[:8])
	e.pod("other-node", func(p *corev1.Pod) { host(p); p.Spec.NodeName = "worker-2" })
	e.refused("other-node", "ip link show mine")
	// A pod's network goes with it, also what of it is on the node.
	e.delete("own")
	eventually(e.T, "its interface is gone", func() (bool, error) {
		r := e.sh("second", `ip link show "veth$1"`, strings.ReplaceAll(string(own.UID), "-", "")[:8])
		return r.Code == 1, fmt.Errorf("got %+v", r)
	})
	machine, err := net.Interfaces()
	if err != nil {
		e.Fatal(err)
	}
	if slices.ContainsFunc(machine, func(i net.Interface) bool { return i.Name == "mine" || i.Name == "uplink" }) {
		e.Error("the machine's own network was changed")
	}
	if r := e.sh("second", "iptables -S"); r.Code == 127 {
		e.Skip("SKIPPED, RULES WERE NOT TESTED: this machine has no iptables")
	}
	e.want("", "second", "iptables -A INPUT -p tcp --dport 81 -m comment --comment ebb -j DROP")
	e.delete("second")
	e.pod("third", host)
	e.want("1\n", "third", "iptables -S INPUT | grep -c -- '--comment ebb'")
	e.want("0\n", "other-node", "iptables -S INPUT | grep -c -- '--comment ebb' || true")
	if r := e.sh("third", "tc qdisc add dev eth0 root handle 1: htb default 1"); r.Code != 0 {
		e.Skipf("SKIPPED, QDISCS WERE NOT TESTED: %+v", r)
	}
	e.want("qdisc htb 1: root\n", "third", "tc qdisc show dev eth0 | cut -d ' ' -f 1-4")
}

// The nodes' server answers nobody but the API server and the administrator.
func testDoors(e *execer) {
	node, err := e.client.CoreV1().Nodes().Get(e.Context(), "worker-1", metav1.GetOptions{})
	if err != nil {
		e.Fatal(err)
	}
	address := fmt.Sprintf("https://127.0.0.1:%d", node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(e.config.CAData)
	admin, err := tls.X509KeyPair(e.config.CertData, e.config.KeyData)
	if err != nil {
		e.Fatal(err)
	}
	ask := func(path string, certificates ...tls.Certificate) (int, string, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates}}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport, Timeout: patience}).Post(address+path, "", nil)
		if err != nil {
			return 0, "", err
		}
		body, err := io.ReadAll(response.Body)
		return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
	}
	for _, path := range []string{"/run/worker-1?command=true", "/exec/default/probe/main?command=true&output=1"} {
		if code, body, err := ask(path); err == nil {
			e.Errorf("%s without a certificate: got %d %q, want no connection", path, code, body)
		}
	}
	if code, body, err := ask("/exec/default/probe/main?command=true&output=1", admin); err != nil || code != http.StatusForbidden {
		e.Errorf("exec past the API server: got %d %q, %v, want 403", code, body, err)
	}
	query := url.Values{"command": {"sh", "-c", "hostname; test -d /host/var && chroot /host true; exit 3"}}.Encode()
	if code, body, err := ask("/run/worker-1?"+query, admin); err != nil || code != http.StatusOK || body != `{"stdout":"worker-1\n","stderr":"","code":3}`+"\n" {
		e.Errorf("a look at the node: got %d %q, %v", code, body, err)
	}
	if code, body, err := ask("/run/worker-9?command=true", admin); err != nil || code != http.StatusNotFound {
		e.Errorf("a node that is not there: got %d %q, %v, want 404", code, body, err)
	}
}
