package builtins

import (
	"context"
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/aws"
)

func (s *Session) aws() (*aws.Client, error) {
	if s.AWS == nil {
		return nil, errNoCloud
	}
	return s.AWS, nil
}

// awsMachines are the instances of a region; "" is the operator's own.
func (s *Session) awsMachines(region string) (machines, error) {
	client, err := s.aws()
	if err != nil {
		return machines{}, err
	}
	return machines{kindAWSInstance, client.Asker, func(ctx context.Context, ids []string) (map[string]string, error) {
		return client.Instances(ctx, region, ids)
	}}, nil
}

func awsRegion(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	if err := starlark.UnpackArgs(b.Name(), args, kwargs); err != nil {
		return nil, err
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	client, err := s.aws()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	region, err := client.Region(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.String(region), nil
}

func awsDescribe(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var instances starlark.Iterable
	var region string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "instances", &instances, "region?", &region); err != nil {
		return nil, err
	}
	ids, err := unpackNames(b.Name(), "instances", instances)
	if err != nil {
		return nil, err
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	machines, err := s.awsMachines(region)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	found, err := machines.describe(ctx, s, ids)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return statuses(ids, found)
}

func awsStart(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return awsChange(t, b, args, kwargs, "start", (*aws.Client).StartInstance)
}

func awsStop(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return awsChange(t, b, args, kwargs, "stop", (*aws.Client).StopInstance)
}

func awsChange(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple, verb string, change func(c *aws.Client, ctx context.Context, region, id string) error) (starlark.Value, error) {
	var id, region string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "instance", &id, "region?", &region); err != nil {
		return nil, err
	}
	if id == "" {
		return nil, fmt.Errorf("%s: for parameter instance: it is empty, want an ID such as i-0abc", b.Name())
	}
	ctx, s, err := writer(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	client, err := s.aws()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	err = s.changeCloud(ctx, verb, Ref{Kind: kindAWSInstance, Name: id}, func() error { return change(client, ctx, region, id) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.None, nil
}

func awsWait(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var instances starlark.Iterable
	var status, region string
	var timeout starlark.Value = starlark.MakeInt(300)
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "instances", &instances, "status", &status, "timeout?", &timeout, "region?", &region); err != nil {
		return nil, err
	}
	ids, err := unpackNames(b.Name(), "instances", instances)
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
	machines, err := s.awsMachines(region)
	if err == nil {
		err = machines.wait(ctx, s, ids, status, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.None, nil
}
