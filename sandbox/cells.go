package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/ebb-chaos/ebb/sandbox/cell"
)

// The sizes, in bytes, of what a container can fill. All of it is in memory.
const (
	volumeLimit = 64 << 20
	podLimit    = 4 << 20 // logs
)

// cells are the processes of the pods. The room contains a cell for each node, which contains one
// for each pod, which contains one for each container. Each is made when it is first needed: most
// tests need none.
type cells struct {
	client kubernetes.Interface
	log    io.Writer

	mu     sync.Mutex // held while the room or a volume is made or removed
	closed bool
	room   *cell.Cell
	nodes  map[string]*nodeCell
}

// A nodeCell is the cell of a node, with those of its pods. Cells of different nodes are made at
// the same time: a test with a node of its own does not wait for others.
type nodeCell struct {
	mu sync.Mutex // held while a cell of the node is made or removed; cells.mu is taken after it

	*cell.Cell            // nil before it is first needed
	shell      *cell.Cell // for commands that tests run on the node
	pods       map[types.UID]*podCell
}

type podCell struct {
	*cell.Cell
	containers map[string]*cell.Cell
}

// close ends all cells for good, and returns when all of their processes have ended.
func (c *cells) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.room == nil {
		return nil
	}
	err := c.room.Close()
	c.room, c.nodes = nil, nil
	return err
}

func alive(c *cell.Cell) bool {
	if c == nil {
		return false
	}
	select {
	case <-c.Done():
		return false
	default:
		return true
	}
}

// The paths of volumes in the room.

func nodePath(node string) string { return path.Join("nodes", node) }

func podPath(uid types.UID) string { return path.Join("pods", string(uid)) }

func claimPath(namespace, claim string) string { return path.Join("claims", namespace, claim) }

func logPath(pod *corev1.Pod, container string) string {
	return path.Join(podPath(pod.UID), "log", container)
}

// recordPath is where the stub of crictl finds a pod, below the path of its node.
func recordPath(uid types.UID) string { return path.Join(cell.CrictlDir, string(uid)) }

// processesPath is where the processes of a node are visible to its hostPID pods.
func processesPath(node string) string { return path.Join("procs", node) }

// container returns the cell of a container in a running pod.
func (c *cells) container(ctx context.Context, pod *corev1.Pod, container *corev1.Container) (*cell.Cell, error) {
	mounts, volumes, err := c.mounts(ctx, pod, container)
	if err != nil {
		return nil, err
	}
	// A container that sees the node's root must also see the other pods' processes.
	neighbours, err := c.neighbours(ctx, pod, mounts)
	if err != nil {
		return nil, err
	}
	n, err := c.node(ctx, pod.Spec.NodeName)
	if err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	if err := c.pods(ctx, n, neighbours); err != nil {
		return nil, err
	}
	p, err := c.pod(ctx, n, pod)
	if err != nil {
		return nil, err
	}
	if known := p.containers[container.Name]; alive(known) {
		return known, nil
	}
	for _, v := range volumes {
		if err := c.makeVolume(v); err != nil {
			return nil, fmt.Errorf("make volume %q: %w", v.Path, err)
		}
	}
	made, err := p.New(cell.Setup{
		PIDs:      !pod.Spec.HostPID,
		Processes: processesPath(pod.Spec.NodeName),
		Root:      &cell.Root{Log: logPath(pod, container.Name), Mounts: mounts, Capabilities: capabilities(container)},
	})
	if err != nil {
		return nil, fmt.Errorf("make container %q: %w", container.Name, err)
	}
	p.containers[container.Name] = made
	return made, nil
}

// neighbours returns the other pods of the node if the mounts contain the node's root.
func (c *cells) neighbours(ctx context.Context, pod *corev1.Pod, mounts []cell.Mount) ([]corev1.Pod, error) {
	if !slices.ContainsFunc(mounts, func(m cell.Mount) bool { return m.Commands }) {
		return nil, nil
	}
	return c.runningOn(ctx, pod.Spec.NodeName)
}

func (c *cells) runningOn(ctx context.Context, node string) ([]corev1.Pod, error) {
	list, err := c.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.AndSelectors(
			fields.OneTermEqualSelector("spec.nodeName", node),
			fields.OneTermEqualSelector("status.phase", string(corev1.PodRunning)),
		).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("list the pods of node %q: %w", node, err)
	}
	return list.Items, nil
}

// openRoom is called with the lock of all cells held.
func (c *cells) openRoom() error {
	switch {
	case c.closed:
		return errors.New("the sandbox is about to end")
	case alive(c.room):
		return nil
	}
	room, err := cell.Open(c.log)
	if err != nil {
		return err
	}
	c.room, c.nodes = room, map[string]*nodeCell{}
	return nil
}

// inRoom calls do with the room, and with the lock of all cells held.
func (c *cells) inRoom(do func(room *cell.Cell) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.openRoom(); err != nil {
		return err
	}
	return do(c.room)
}

// makeVolume makes one volume at a time: pods on several nodes may share a claim.
func (c *cells) makeVolume(v cell.Volume) error {
	return c.inRoom(func(room *cell.Cell) error { return room.Volume(v) })
}

// node returns the cell of a node with its lock held. The functions below need that lock, too.
func (c *cells) node(ctx context.Context, name string) (*nodeCell, error) {
	var n *nodeCell
	err := c.inRoom(func(*cell.Cell) error {
		if n = c.nodes[name]; n == nil {
			n = &nodeCell{}
			c.nodes[name] = n
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	if !alive(n.Cell) {
		err = c.openNode(ctx, n, name)
	}
	if err != nil {
		n.mu.Unlock()
		return nil, err
	}
	return n, nil
}

func (c *cells) openNode(ctx context.Context, n *nodeCell, name string) error {
	root := cell.Volume{Path: nodePath(name), Size: volumeLimit, Dirs: []string{"sys/fs/cgroup", "var/lib", "run", "tmp", "etc", "root"}}
	if err := c.makeVolume(root); err != nil {
		return fmt.Errorf("make node %q: %w", name, err)
	}
	var room *cell.Cell
	if err := c.inRoom(func(r *cell.Cell) error { room = r; return nil }); err != nil {
		return err
	}
	made, err := room.New(cell.Setup{Hostname: name, PIDs: true, Network: true, Proc: processesPath(name)})
	if err != nil {
		return fmt.Errorf("make node %q: %w", name, err)
	}
	if err := connectNode(ctx, made); err != nil {
		return errors.Join(fmt.Errorf("connect node %q: %w", name, err), made.Close())
	}
	n.Cell, n.shell, n.pods = made, nil, map[types.UID]*podCell{}
	return nil
}

func (c *cells) pod(ctx context.Context, n *nodeCell, pod *corev1.Pod) (*podCell, error) {
	if known := n.pods[pod.UID]; known != nil && alive(known.Cell) {
		return known, nil
	}
	if err := c.makeVolume(cell.Volume{Path: podPath(pod.UID), Size: podLimit, Dirs: []string{"log"}}); err != nil {
		return nil, fmt.Errorf("make pod %q: %w", pod.Name, err)
	}
	made, err := n.New(cell.Setup{
		Hostname: hostname(pod), PIDs: !pod.Spec.HostPID, Network: !pod.Spec.HostNetwork,
		Processes: processesPath(pod.Spec.NodeName),
	})
	if err != nil {
		return nil, fmt.Errorf("make pod %q: %w", pod.Name, err)
	}
	n.pods[pod.UID] = &podCell{made, map[string]*cell.Cell{}}
	if !pod.Spec.HostNetwork {
		err = connectPod(ctx, n.Cell, made, pod)
	}
	if err == nil {
		err = c.makeVolume(cell.Volume{Path: nodePath(pod.Spec.NodeName), Files: map[string][]byte{
			path.Join(recordPath(pod.UID), "name"):      []byte(pod.Name + "\n"),
			path.Join(recordPath(pod.UID), "namespace"): []byte(pod.Namespace + "\n"),
			path.Join(recordPath(pod.UID), "pid"):       fmt.Appendf(nil, "%d\n", made.PID()),
		}})
	}
	if err == nil {
		// The pod may have ended before its cell existed. Then nothing else would end the cell.
		err = c.stillRuns(ctx, pod)
	}
	if err != nil {
		if left := c.endPod(n, pod.Spec.NodeName, pod.UID); left != nil {
			err = fmt.Errorf("%v; %w", err, left)
		}
		return nil, fmt.Errorf("make pod %q: %w", pod.Name, err)
	}
	return n.pods[pod.UID], nil
}

// pods makes the cells of listed pods. It skips pods that have ended since.
func (c *cells) pods(ctx context.Context, n *nodeCell, listed []corev1.Pod) error {
	for _, pod := range listed {
		if _, err := c.pod(ctx, n, &pod); err != nil && !errors.Is(err, errPodEnded) {
			return err
		}
	}
	return nil
}

// errPodEnded says that a pod ended after it was listed.
var errPodEnded = errors.New("it has ended")

func (c *cells) stillRuns(ctx context.Context, pod *corev1.Pod) error {
	now, err := c.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && (now.UID != pod.UID || now.Status.Phase != corev1.PodRunning) {
		return errPodEnded
	}
	return err
}

// podEnded ends everything that runs in a pod, and removes its volumes.
func (c *cells) podEnded(node string, uid types.UID) error {
	c.mu.Lock()
	n := c.nodes[node]
	c.mu.Unlock()
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return c.endPod(n, node, uid)
}

func (c *cells) endPod(n *nodeCell, node string, uid types.UID) error {
	p := n.pods[uid]
	if p == nil {
		return nil
	}
	delete(n.pods, uid)
	var errs []error
	for _, container := range p.containers {
		errs = append(errs, container.Close())
	}
	errs = append(errs, p.Close(), c.removeVolumes(podPath(uid), path.Join(nodePath(node), recordPath(uid))))
	return errors.Join(errs...)
}

// removeVolumes needs no room: if there is none, there are no volumes either.
func (c *cells) removeVolumes(paths ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !alive(c.room) {
		return nil
	}
	var errs []error
	for _, path := range paths {
		errs = append(errs, c.room.Remove(path))
	}
	return errors.Join(errs...)
}

// claimEnded removes the volume of a deleted claim.
func (c *cells) claimEnded(namespace, claim string) error {
	return c.removeVolumes(claimPath(namespace, claim))
}

// shell returns a privileged cell on a node that belongs to no pod.
func (c *cells) shell(ctx context.Context, node string) (*cell.Cell, error) {
	pods, err := c.runningOn(ctx, node)
	if err != nil {
		return nil, err
	}
	n, err := c.node(ctx, node)
	if err != nil {
		return nil, err
	}
	defer n.mu.Unlock()
	if err := c.pods(ctx, n, pods); err != nil {
		return nil, err
	}
	if alive(n.shell) {
		return n.shell, nil
	}
	n.shell, err = n.New(cell.Setup{
		Processes: processesPath(node),
		Root:      &cell.Root{Mounts: []cell.Mount{{Volume: nodePath(node), Target: "/host", Commands: true}}},
	})
	return n.shell, err
}

// readLog returns what the first process of a container, and all that share its outputs, have
// written. Without a cell, that is nothing.
func (c *cells) readLog(ctx context.Context, pod *corev1.Pod, container string) (string, error) {
	c.mu.Lock()
	node, room := c.nodes[pod.Spec.NodeName], c.room
	c.mu.Unlock()
	known := false
	if node != nil && alive(room) {
		node.mu.Lock()
		known = node.pods[pod.UID] != nil && node.pods[pod.UID].containers[container] != nil
		node.mu.Unlock()
	}
	if !known {
		return "", nil
	}
	result, err := capture(ctx, room, cell.Command{Args: []string{"cat", "/tmp/" + logPath(pod, container)}})
	if err == nil && result.Code != 0 {
		err = errors.New(strings.TrimSpace(result.Stderr))
	}
	return result.Stdout, err
}

func hostname(pod *corev1.Pod) string {
	if pod.Spec.HostNetwork {
		return "" // it has the node's host name
	}
	if pod.Spec.Hostname != "" {
		return pod.Spec.Hostname
	}
	return pod.Name[:min(len(pod.Name), 63)]
}
