package cloudtest

import "fmt"

// rebootLooks is how many looks at a node see it away while its machine starts anew.
const rebootLooks = 3

// node is what a cluster sees of a machine: a kubelet that answers, and which boot it is of.
type node struct {
	boots int
	away  int // looks until it is back
}

// reboot makes the machine start anew.
func (n *node) reboot() { n.away = rebootLooks }

// look reports whether the kubelet answers, if the machine runs, and brings it a step on its way.
func (n *node) look(runs bool) bool {
	if !runs {
		return false
	}
	if n.away > 0 {
		if n.away--; n.away == 0 {
			n.boots++
		}
		return false
	}
	return true
}

func (n *node) bootID() string { return fmt.Sprintf("boot-%d", n.boots) }

// Node returns what the cluster of a machine sees of its kubelet. exists is false for a machine
// that is gone for good, whose node a cloud's controller removes.
func (a *AWS) Node(id string) (ready bool, bootID string, exists bool) {
	a.state.Lock()
	defer a.state.Unlock()
	m := a.instances[id]
	if m == nil || m.now == "shutting-down" || m.now == "terminated" {
		return false, "", false
	}
	return m.node.look(m.now == "running"), m.node.bootID(), true
}

// Node returns what the cluster of a machine sees of its kubelet, as [AWS.Node] does.
func (g *GCP) Node(name string) (ready bool, bootID string, exists bool) {
	g.state.Lock()
	defer g.state.Unlock()
	m := g.instances[name]
	if m == nil || m.target == "" {
		return false, "", false
	}
	return m.node.look(m.status == "RUNNING" && m.target == "RUNNING"), m.node.bootID(), true
}
