package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/ebb-chaos/ebb/sandbox/cell"
)

// The networks lead nowhere, so all nodes may have the same address. The gateway exists only as a
// route, which is what scenarios look for.

func connectNode(ctx context.Context, node *cell.Cell) error {
	return ip(ctx, node,
		"link add eth0 type veth peer name uplink",
		"link set uplink up",
		"address add 192.168.0.2/24 dev eth0",
		"link set eth0 up",
		"route add default via 192.168.0.1 dev eth0")
}

func connectPod(ctx context.Context, node, pod *cell.Cell, p *corev1.Pod) error {
	outer := "veth" + strings.ReplaceAll(string(p.UID), "-", "")[:8]
	lines := []string{
		fmt.Sprintf("link add %s type veth peer name eth0 netns %d", outer, pod.PID()),
		fmt.Sprintf("link set %s up", outer),
	}
	err := ip(ctx, node, lines...)
	if err != nil && strings.Contains(err.Error(), "File exists") {
		// An earlier cell of this pod has ended, and the kernel has not removed its pair yet.
		deleted := ip(ctx, node, "link delete "+outer)
		if err = ip(ctx, node, lines...); err != nil {
			err = errors.Join(err, deleted)
		}
	}
	if err != nil {
		return err
	}
	address := p.Status.PodIP
	if address == "" {
		address = "10.244.0.2"
	}
	return ip(ctx, pod,
		fmt.Sprintf("address add %s/32 dev eth0", address),
		"link set eth0 up",
		"route add default via 169.254.1.1 dev eth0 onlink")
}

// ip runs the machine's ip in a cell. Without that command, nodes and pods have only lo.
func ip(ctx context.Context, c *cell.Cell, lines ...string) error {
	result, err := capture(ctx, c, cell.Command{Args: []string{"ip", "-batch", "-"}}, strings.Join(lines, "\n")+"\n")
	var start *cell.StartError
	if errors.As(err, &start) && start.Code == 127 {
		return nil
	}
	if err == nil && result.Code != 0 {
		err = fmt.Errorf("ip: %s", strings.TrimSpace(result.Stderr))
	}
	return err
}
