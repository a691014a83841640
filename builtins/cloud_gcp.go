package builtins

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.starlark.net/starlark"
	"golang.org/x/sync/errgroup"

	"github.com/ebb-chaos/ebb/internal/gcp"
)

// gcpLooks is how many instances are read at the same time. Each is a request.
const gcpLooks = 16

// gcpMachines returns the instances of Compute Engine.
func (s *Session) gcpMachines() (machines, error) {
	if s.GCP == nil {
		return machines{}, errNoCloud
	}
	status := func(ctx context.Context, names []string) (map[string]string, error) {
		found := map[string]string{}
		var mu sync.Mutex
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(gcpLooks)
		for _, name := range names {
			group.Go(func() error {
				instance, err := gcp.ParseInstance(name)
				if err != nil {
					return err
				}
				status, err := s.GCP.Status(ctx, instance)
				if err == nil && status != "" {
					mu.Lock()
					defer mu.Unlock()
					found[name] = status
				}
				return err
			})
		}
		return found, group.Wait()
	}
	return machines{kindGCPInstance, s.GCP.Asker, status}, nil
}

var gcpFunctions = []*function{
	builtin("cloud.gcp.describe", Read, gcpDescribeArgs{}, gcpDescribe),
	gcpChange("cloud.gcp.start", "start", (*gcp.Client).Start),
	gcpChange("cloud.gcp.stop", "stop", (*gcp.Client).Stop),
	gcpChange("cloud.gcp.reset", "reset", (*gcp.Client).Reset),
	gcpChange("cloud.gcp.delete", "delete", (*gcp.Client).Delete),
	builtin("cloud.gcp.wait", Read, gcpWaitArgs{Timeout: seconds(300 * time.Second)}, gcpWait),
}

type gcpDescribeArgs struct {
	Instances names `star:"instances"`
}

func gcpDescribe(c *call, a *gcpDescribeArgs) (starlark.Value, error) {
	machines, err := c.gcpMachines()
	if err != nil {
		return nil, err
	}
	return machines.statuses(c, a.Instances)
}

type gcpChangeArgs struct {
	Instance string `star:"instance"`
}

// gcpChange returns a builtin that changes an instance.
func gcpChange(name, verb string, change func(*gcp.Client, context.Context, gcp.Instance) error) *function {
	return builtin(name, Write, gcpChangeArgs{}, func(c *call, a *gcpChangeArgs) (starlark.Value, error) {
		instance, err := gcp.ParseInstance(a.Instance)
		if err != nil {
			return nil, fmt.Errorf("for parameter instance: %w", err)
		}
		if c.GCP == nil {
			return nil, errNoCloud
		}
		if verb == "delete" {
			if err := c.mayBeFinal("the deletion of an instance"); err != nil {
				return nil, err
			}
		}
		return starlark.None, c.changeCloud(c.ctx, verb, Ref{Kind: kindGCPInstance, Name: a.Instance}, func() error { return change(c.GCP, c.ctx, instance) })
	})
}

type gcpWaitArgs struct {
	Instances names   `star:"instances"`
	Status    string  `star:"status"`
	Timeout   seconds `star:"timeout?"`
}

func gcpWait(c *call, a *gcpWaitArgs) (starlark.Value, error) {
	machines, err := c.gcpMachines()
	if err != nil {
		return nil, err
	}
	return starlark.None, machines.wait(c.ctx, c.Session, a.Instances, a.Status, time.Duration(a.Timeout))
}
