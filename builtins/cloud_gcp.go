package builtins

import (
	"context"
	"fmt"
	"sync"

	"go.starlark.net/starlark"
	"golang.org/x/sync/errgroup"

	"github.com/ebb-chaos/ebb/internal/gcp"
)

// gcpLooks is how many instances are looked at at the same time: each is a request of its own.
const gcpLooks = 16

// gcpMachines are all instances of Compute Engine.
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

func gcpDescribe(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var instances starlark.Iterable
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "instances", &instances); err != nil {
		return nil, err
	}
	names, err := unpackNames(b.Name(), "instances", instances)
	if err != nil {
		return nil, err
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	machines, err := s.gcpMachines()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	found, err := machines.describe(ctx, s, names)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return statuses(names, found)
}

func gcpStart(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return gcpChange(t, b, args, kwargs, "start", (*gcp.Client).Start)
}

func gcpStop(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return gcpChange(t, b, args, kwargs, "stop", (*gcp.Client).Stop)
}

func gcpChange(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple, verb string, change func(*gcp.Client, context.Context, gcp.Instance) error) (starlark.Value, error) {
	var name string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "instance", &name); err != nil {
		return nil, err
	}
	instance, err := gcp.ParseInstance(name)
	if err != nil {
		return nil, fmt.Errorf("%s: for parameter instance: %w", b.Name(), err)
	}
	ctx, s, err := writer(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if s.GCP == nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), errNoCloud)
	}
	err = s.changeCloud(ctx, verb, Ref{Kind: kindGCPInstance, Name: name}, func() error { return change(s.GCP, ctx, instance) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.None, nil
}

func gcpWait(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var instances starlark.Iterable
	var status string
	var timeout starlark.Value = starlark.MakeInt(300)
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "instances", &instances, "status", &status, "timeout?", &timeout); err != nil {
		return nil, err
	}
	names, err := unpackNames(b.Name(), "instances", instances)
	if err != nil {
		return nil, err
	}
	limit, err := toDuration(timeout)
	if err != nil {
		return nil, fmt.Errorf("%s: for parameter timeout: %w", b.Name(), err)
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	machines, err := s.gcpMachines()
	if err == nil {
		err = machines.wait(ctx, s, names, status, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.None, nil
}
