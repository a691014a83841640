package builtins

import (
	"context"
	"errors"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/aws"
)

func (s *Session) aws() (*aws.Client, error) {
	if s.AWS == nil {
		return nil, errNoCloud
	}
	return s.AWS, nil
}

// awsMachines returns the instances of a region; "" is the region of the operator's configuration.
func (s *Session) awsMachines(region string) (machines, error) {
	client, err := s.aws()
	if err != nil {
		return machines{}, err
	}
	return machines{kindAWSInstance, client.Asker, func(ctx context.Context, ids []string) (map[string]string, error) {
		return client.Instances(ctx, region, ids)
	}}, nil
}

var awsFunctions = []*function{
	builtin("cloud.aws.region", Read, struct{}{}, awsRegion),
	builtin("cloud.aws.describe", Read, awsDescribeArgs{}, awsDescribe),
	awsChange("cloud.aws.start", "start", (*aws.Client).StartInstance),
	awsChange("cloud.aws.stop", "stop", (*aws.Client).StopInstance),
	awsChange("cloud.aws.reboot", "reboot", (*aws.Client).RebootInstance),
	awsChange("cloud.aws.terminate", "terminate", (*aws.Client).TerminateInstance),
	builtin("cloud.aws.wait", Read, awsWaitArgs{Timeout: seconds(300 * time.Second)}, awsWait),
	builtin("cloud.aws.network_acls", Read, networkACLsArgs{}, awsNetworkACLs),
	builtin("cloud.aws.create_network_acl", Write, createNetworkACLArgs{}, awsCreateNetworkACL),
	builtin("cloud.aws.replace_network_acl", Write, replaceNetworkACLArgs{}, awsReplaceNetworkACL),
	builtin("cloud.aws.delete_network_acl", Write, deleteNetworkACLArgs{}, awsDeleteNetworkACL),
}

func awsRegion(c *call, _ *struct{}) (starlark.Value, error) {
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	region, err := client.Region(c.ctx)
	return starlark.String(region), err
}

type awsDescribeArgs struct {
	Instances names  `star:"instances"`
	Region    string `star:"region?"`
}

func awsDescribe(c *call, a *awsDescribeArgs) (starlark.Value, error) {
	machines, err := c.awsMachines(a.Region)
	if err != nil {
		return nil, err
	}
	return machines.statuses(c, a.Instances)
}

type awsChangeArgs struct {
	Instance string `star:"instance"`
	Region   string `star:"region?"`
}

// awsChange returns a builtin that changes an instance.
func awsChange(name, verb string, change func(c *aws.Client, ctx context.Context, region, id string) error) *function {
	return builtin(name, Write, awsChangeArgs{}, func(c *call, a *awsChangeArgs) (starlark.Value, error) {
		if a.Instance == "" {
			return nil, errors.New("for parameter instance: it is empty, want an ID such as i-0abc")
		}
		client, err := c.aws()
		if err != nil {
			return nil, err
		}
		if verb == "terminate" {
			if err := c.mayBeFinal("the termination of an instance"); err != nil {
				return nil, err
			}
		}
		return starlark.None, c.changeCloud(c.ctx, verb, Ref{Kind: kindAWSInstance, Name: a.Instance}, func() error { return change(client, c.ctx, a.Region, a.Instance) })
	})
}

type awsWaitArgs struct {
	Instances names   `star:"instances"`
	Status    string  `star:"status"`
	Timeout   seconds `star:"timeout?"`
	Region    string  `star:"region?"`
}

func awsWait(c *call, a *awsWaitArgs) (starlark.Value, error) {
	machines, err := c.awsMachines(a.Region)
	if err != nil {
		return nil, err
	}
	return starlark.None, machines.wait(c.ctx, c.Session, a.Instances, a.Status, time.Duration(a.Timeout))
}
