package builtins

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/aws"
	"github.com/ebb-chaos/ebb/internal/patience"
)

// settledACLs waits until no request of a killed process can change network ACLs or associations: a
// description does not say whether it includes such a request.
func (s *Session) settledACLs(ctx context.Context) error {
	_, err := s.settle(ctx, func(r Ref) bool { return r.Kind == kindNetworkACL || r.Kind == kindSubnet }, false)
	return err
}

// EC2 shows a change some time after it was made. If the answer to a request was lost, it is
// believed to have changed nothing only after this many reads, this far apart.
const (
	visibleTries = 5
	visiblePause = time.Second
)

// pollUntilVisible reads until the result of a request is visible. It repeats the read only if the
// answer to the request was lost.
func (s *Session) pollUntilVisible(ctx context.Context, r Ref, look func() (there bool, err error)) error {
	for n := 1; ; n++ {
		there, err := look()
		if err != nil || there || n == visibleTries || !s.answerLost(r) {
			return err
		}
		if err := patience.Sleep(ctx, visiblePause); err != nil {
			return err
		}
	}
}

// filters are filters of EC2, by name.
type filters map[string][]string

// Unpack implements starlark.Unpacker.
func (f *filters) Unpack(v starlark.Value) error {
	d, ok := v.(*starlark.Dict)
	if !ok {
		return fmt.Errorf("got %s, want dict", v.Type())
	}
	*f = filters{}
	for _, item := range d.Items() {
		name, ok := starlark.AsString(item[0])
		if _, list := item[1].(starlark.Iterable); !ok || !list {
			return fmt.Errorf("got %s: %s, want a name and a list of strings", item[0], item[1].Type())
		}
		var values names
		if err := values.Unpack(item[1]); err != nil {
			return err
		}
		if len(values) == 0 {
			// EC2 would ignore a filter without values, and return everything.
			return fmt.Errorf("%q has no values", name)
		}
		(*f)[name] = values
	}
	return nil
}

func (filters) typeName() string { return "dict of lists of strings" }

type networkACLsArgs struct {
	Filters filters `star:"filters"`
	Region  string  `star:"region?"`
}

func awsNetworkACLs(c *call, a *networkACLsArgs) (starlark.Value, error) {
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	if err := c.settledACLs(c.ctx); err != nil {
		return nil, err
	}
	found, err := client.NetworkACLs(c.ctx, a.Region, a.Filters)
	if err != nil {
		return nil, err
	}
	lists := make([]any, len(found))
	for i, acl := range found {
		subnets := []any{}
		for _, subnet := range sortedKeys(acl.Associations) {
			subnets = append(subnets, subnet)
		}
		tags := map[string]any{}
		for key, value := range acl.Tags {
			tags[key] = value
		}
		lists[i] = map[string]any{"id": acl.ID, "vpc": acl.VPC, "default": acl.Default, "allows": acl.Allows, "tags": tags, "subnets": subnets}
	}
	return toStarlark(lists)
}

type createNetworkACLArgs struct {
	VPC    string `star:"vpc"`
	Name   string `star:"name"`
	Region string `star:"region?"`
}

func awsCreateNetworkACL(c *call, a *createNetworkACLArgs) (starlark.Value, error) {
	if a.Name == "" {
		return nil, errors.New("for parameter name: it is empty: use random_name")
	}
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	id := ""
	tags := map[string]string{LabelRunUUID: c.RunUUID, LabelScenarioType: c.ScenarioType}
	err = c.changeCloud(c.ctx, "create", Ref{Kind: kindNetworkACL, Name: a.Name}, func() (err error) {
		id, err = client.CreateNetworkACL(c.ctx, a.Region, a.VPC, a.Name, tags)
		return err
	})
	return starlark.String(id), err
}

type replaceNetworkACLArgs struct {
	Subnet   string `star:"subnet"`
	ACL      string `star:"acl"`
	Expected string `star:"expected"`
	Region   string `star:"region?"`
}

func awsReplaceNetworkACL(c *call, a *replaceNetworkACLArgs) (starlark.Value, error) {
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	changed, err := c.replaceACL(c.ctx, client, a.Region, a.Subnet, a.ACL, a.Expected)
	return starlark.Bool(changed), err
}

// replaceACL replaces the network ACL of a subnet. It reads the present one first: if there is
// nothing to change, it uses up no rollback.
func (s *Session) replaceACL(ctx context.Context, client *aws.Client, region, subnet, acl, expected string) (changed bool, err error) {
	if err := s.settledACLs(ctx); err != nil {
		return false, err
	}
	r := Ref{Kind: kindSubnet, Name: subnet}
	var found string
	err = s.pollUntilVisible(ctx, r, func() (bool, error) {
		found, err = client.NetworkACL(ctx, region, subnet)
		return found != acl, err
	})
	switch {
	case err != nil:
		return false, err
	case found == acl:
		return false, nil
	case found != expected:
		return false, asConflict(&aws.ChangedError{Subnet: subnet, List: found, Expected: expected})
	}
	if s.Mode == Plan {
		s.plan("replace", r, "give %s the network ACL %q in place of %q", r.Text(), acl, expected)
		return true, nil
	}
	err = s.changeCloud(ctx, "replace", r, func() (err error) {
		changed, err = client.ReplaceNetworkACL(ctx, region, subnet, acl, expected)
		return err
	})
	return changed, asConflict(err)
}

// asConflict turns an error about a change by somebody else into a conflict.
func asConflict(err error) error {
	var changed *aws.ChangedError
	if errors.As(err, &changed) {
		return &ConflictError{Message: changed.Error() + ": somebody else changed it, and it was left alone"}
	}
	return err
}

type deleteNetworkACLArgs struct {
	Name   string `star:"name"`
	Region string `star:"region?"`
}

func awsDeleteNetworkACL(c *call, a *deleteNetworkACLArgs) (starlark.Value, error) {
	if a.Name == "" {
		return nil, errors.New("for parameter name: it is empty")
	}
	client, err := c.aws()
	if err != nil {
		return nil, err
	}
	deleted, err := c.deleteACL(c.ctx, client, a.Region, a.Name)
	return starlark.Bool(deleted), err
}

// deleteACL deletes the network ACL with a name that this run has created.
func (s *Session) deleteACL(ctx context.Context, client *aws.Client, region, name string) (bool, error) {
	if err := s.settledACLs(ctx); err != nil {
		return false, err
	}
	r := Ref{Kind: kindNetworkACL, Name: name}
	var found []aws.NetworkACL
	err := s.pollUntilVisible(ctx, r, func() (_ bool, err error) {
		found, err = client.NetworkACLs(ctx, region, map[string][]string{"tag:Name": {name}})
		return len(found) > 0, err
	})
	if err != nil || len(found) == 0 {
		return false, err
	}
	for _, acl := range found {
		if run := acl.Tags[LabelRunUUID]; run == "" || s.RunUUID != "" && run != s.RunUUID {
			return false, &ConflictError{Message: fmt.Sprintf("%s (%s) is not ours and was left alone: its tag %s is %q, not %q", r.Text(), acl.ID, LabelRunUUID, run, s.RunUUID)}
		}
		// In a dry run, the newer file, which takes the ACL from its subnets, was not replayed
		// either.
		if len(acl.Associations) > 0 && s.Mode != Plan {
			return false, &ConflictError{Message: fmt.Sprintf("%s (%s) still is the network ACL of %q, and was left alone", r.Text(), acl.ID, sortedKeys(acl.Associations))}
		}
	}
	for _, acl := range found {
		if err := s.changeCloud(ctx, "delete", r, func() error { return client.DeleteNetworkACL(ctx, region, acl.ID) }); err != nil {
			return false, err
		}
	}
	return true, nil
}
