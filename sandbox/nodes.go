package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/version"
)

// The nodes claim to be in this project and region of Google's cloud, for scenarios that stop
// instances by spec.providerID. No request is sent there.
const (
	project = "sandbox-project"
	region  = "sandbox-region"
)

// newNodes returns n workers, spread evenly over the zones.
func newNodes(n int, zones []string) []*corev1.Node {
	nodes := make([]*corev1.Node, 0, n)
	for i := range n {
		name := fmt.Sprintf("worker-%d", i+1)
		zone := zones[i%len(zones)]
		size := corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("4"),
			corev1.ResourceMemory: resource.MustParse("16Gi"),
			corev1.ResourcePods:   resource.MustParse("500"),
		}
		nodes = append(nodes, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{
				Name: name,
				Labels: map[string]string{
					"node-role.kubernetes.io/worker": "",
					corev1.LabelHostname:             name,
					corev1.LabelTopologyZone:         zone,
					corev1.LabelTopologyRegion:       region,
					corev1.LabelOSStable:             "linux",
					corev1.LabelArchStable:           "amd64",
				},
			},
			Spec: corev1.NodeSpec{ProviderID: fmt.Sprintf("gce://%s/%s/%s", project, zone, name)},
			Status: corev1.NodeStatus{
				Capacity: size, Allocatable: size,
				NodeInfo: corev1.NodeSystemInfo{KubeletVersion: version.Get().GitVersion},
			},
		})
	}
	return nodes
}

// checkZones refuses names that can't be the value of a label.
func checkZones(zones []string) error {
	if len(zones) == 0 {
		return fmt.Errorf("--zones is empty, want names as in zone-a,zone-b")
	}
	for _, zone := range zones {
		if faults := validation.IsDNS1123Label(zone); len(faults) > 0 {
			return fmt.Errorf("--zones: %q is no zone name: %s", zone, strings.Join(faults, "; "))
		}
	}
	return nil
}

// createNodes creates the nodes that do not exist yet.
func createNodes(ctx context.Context, client kubernetes.Interface, nodes []*corev1.Node) error {
	for _, node := range nodes {
		_, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create node %q: %w", node.Name, err)
		}
	}
	return nil
}

// announcePort writes the port of the nodes' server into nodes of an earlier start. kwok writes it
// into new ones.
func announcePort(ctx context.Context, client kubernetes.Interface, port int) error {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, port)
	for _, node := range nodes.Items {
		_, err := client.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("announce a port on node %q: %w", node.Name, err)
		}
	}
	return nil
}

// nodeReady reports whether pods can be scheduled to the node and its kubelet is simulated. The
// lease tells the latter: after a restart, the status of the node is still that of the previous
// process.
func nodeReady(ctx context.Context, client kubernetes.Interface, name string, port int, since time.Time) (bool, error) {
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	ready := slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	if !ready || len(node.Spec.Taints) > 0 || int(node.Status.DaemonEndpoints.KubeletEndpoint.Port) != port {
		return false, nil
	}
	lease, err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	return lease.Spec.RenewTime != nil && lease.Spec.RenewTime.After(since), nil
}
