package builtins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
)

// The kinds of refs to what is in a cloud. No kind of Kubernetes has a dot.
const (
	kindGCPInstance = "gcp.Instance"
	kindAWSInstance = "aws.Instance"
	kindNetworkACL  = "aws.NetworkAcl"
	kindSubnet      = "aws.Subnet"
)

// InCluster reports whether r is in the Kubernetes cluster, and not in a cloud.
func (r Ref) InCluster() bool { return !strings.Contains(r.Kind, ".") }

// machines has what the functions for instances need of a cloud.
type machines struct {
	kind   string
	asker  *cloudapi.Asker
	status func(ctx context.Context, names []string) (map[string]string, error) // leaves out instances that do not exist
}

// describe returns the status of instances. It first waits until no request of a killed process can
// change them.
func (m machines) describe(ctx context.Context, s *Session, names []string) (map[string]string, error) {
	ours := func(r Ref) bool { return r.Kind == m.kind && slices.Contains(names, r.Name) }
	if _, err := s.settle(ctx, ours, false); err != nil {
		return nil, err
	}
	return m.status(ctx, names)
}

// wait polls until all instances have a status. The script sets the time limit, and the time of the
// file does not run.
func (m machines) wait(ctx context.Context, s *Session, names []string, status string, limit time.Duration) error {
	if s.Mode == Plan || len(names) == 0 {
		return nil // nothing was changed, so nothing will come
	}
	what := fmt.Sprintf("for %d instance(s) to be %s", len(names), status)
	done := s.progress(limit, what)
	defer done()
	left := names
	var states map[string]string
	seen, err := m.asker.Poll(ctx, limit, func(ctx context.Context) (bool, error) {
		var err error
		if states, err = m.describe(ctx, s, left); err != nil {
			return false, err
		}
		// Instances that have the status are not asked for again, because clouds throttle.
		left = slices.DeleteFunc(slices.Clone(left), func(name string) bool { return states[name] == status })
		return len(left) == 0, nil
	})
	if err == nil && !seen {
		err = &TimeoutError{fmt.Sprintf("waited %s %s: %s", limit, what, list(left, states))}
	}
	return err
}

// list returns the states of the first few instances.
func list(names []string, states map[string]string) string {
	var said []string
	for _, name := range names[:min(len(names), 5)] {
		state := states[name]
		if state == "" {
			state = "not there"
		}
		said = append(said, fmt.Sprintf("%s is %s", name, state))
	}
	if more := len(names) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(said, ", ")
}

// statuses returns the status of instances to a script, and None for one that does not exist.
func (m machines) statuses(c *call, names []string) (starlark.Value, error) {
	found, err := m.describe(c.ctx, c.Session, names)
	if err != nil {
		return nil, err
	}
	d := starlark.NewDict(len(names))
	for _, name := range names {
		var value starlark.Value = starlark.None
		if status, ok := found[name]; ok {
			value = starlark.String(status)
		}
		if err := d.SetKey(starlark.String(name), value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// changeCloud makes a change to r or, in a plan, records it.
func (s *Session) changeCloud(ctx context.Context, verb string, r Ref, send func() error) error {
	if s.Mode == Plan {
		s.plan(verb, r, "%s %s", verb, r.Text())
		return nil
	}
	if _, err := s.settle(ctx, func(u Ref) bool { return u == r }, false); err != nil {
		return err
	}
	return s.change(ctx, verb, r, func(context.Context) error { return send() }, cloudapi.Unknown)
}

var errNoCloud = errors.New("no cloud is configured here")
