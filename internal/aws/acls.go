package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
)

// NetworkACL is a network access control list: a firewall for subnets. Every subnet has exactly
// one.
type NetworkACL struct {
	ID           string
	VPC          string
	Default      bool // the default ACL of its VPC
	Tags         map[string]string
	Allows       bool              // one of its rules allows traffic
	Associations map[string]string // IDs of associations by subnet; each replacement makes a new ID
}

// NetworkACLs returns the network ACLs that match all filters. The filters are EC2's: "vpc-id",
// "association.subnet-id", "tag:Name".
func (c *Client) NetworkACLs(ctx context.Context, region string, filters map[string][]string) ([]NetworkACL, error) {
	form := url.Values{"MaxResults": {"1000"}}
	for i, name := range slices.Sorted(maps.Keys(filters)) {
		form.Set(fmt.Sprintf("Filter.%d.Name", i+1), name)
		for j, value := range filters[name] {
			form.Set(fmt.Sprintf("Filter.%d.Value.%d", i+1, j+1), value)
		}
	}
	var lists []NetworkACL
	for token := "-"; token != ""; {
		var out struct {
			Lists []struct {
				ID      string `xml:"networkAclId"`
				VPC     string `xml:"vpcId"`
				Default bool   `xml:"default"`
				Tags    []struct {
					Key   string `xml:"key"`
					Value string `xml:"value"`
				} `xml:"tagSet>item"`
				Rules []struct {
					Action string `xml:"ruleAction"`
				} `xml:"entrySet>item"`
				Associations []struct {
					ID     string `xml:"networkAclAssociationId"`
					Subnet string `xml:"subnetId"`
				} `xml:"associationSet>item"`
			} `xml:"networkAclSet>item"`
			Next string `xml:"nextToken"`
		}
		q := call{action: "DescribeNetworkAcls", region: region, form: form, set: "networkAclSet"}
		if err := c.do(ctx, q, &out); err != nil {
			return nil, err
		}
		for _, x := range out.Lists {
			list := NetworkACL{ID: x.ID, VPC: x.VPC, Default: x.Default, Tags: map[string]string{}, Associations: map[string]string{}}
			for _, tag := range x.Tags {
				list.Tags[tag.Key] = tag.Value
			}
			for _, rule := range x.Rules {
				list.Allows = list.Allows || rule.Action == "allow"
			}
			for _, association := range x.Associations {
				list.Associations[association.Subnet] = association.ID
			}
			if !list.matches(filters) {
				return nil, q.fail(fmt.Errorf("the answer is about network ACL %q of VPC %q, which was not asked for", list.ID, list.VPC))
			}
			lists = append(lists, list)
		}
		token = out.Next
		form.Set("NextToken", token)
	}
	return lists, nil
}

// matches reports whether a network ACL matches filters, as far as this package can tell.
func (l NetworkACL) matches(filters map[string][]string) bool {
	for name, values := range filters {
		has := func(value string) bool { return slices.Contains(values, value) }
		tag, isTag := strings.CutPrefix(name, "tag:")
		switch {
		case name == "vpc-id" && !has(l.VPC), name == "network-acl-id" && !has(l.ID), isTag && !has(l.Tags[tag]):
			return false
		case name == "association.subnet-id":
			if !slices.ContainsFunc(slices.Collect(maps.Keys(l.Associations)), has) {
				return false
			}
		}
	}
	return true
}

// byName returns the network ACLs whose tag Name is name.
func (c *Client) byName(ctx context.Context, region, name string) ([]NetworkACL, error) {
	return c.NetworkACLs(ctx, region, map[string][]string{"tag:Name": {name}})
}

// CreateNetworkACL creates a network ACL, which denies all traffic like every new one. It returns
// the ID when the ACL can be found by its tag Name. The name makes the call safe to repeat: it must
// be new, and at most 64 bytes of ASCII.
func (c *Client) CreateNetworkACL(ctx context.Context, region, vpc, name string, tags map[string]string) (string, error) {
	form := url.Values{
		"VpcId": {vpc}, "ClientToken": {name},
		"TagSpecification.1.ResourceType": {"network-acl"},
		"TagSpecification.1.Tag.1.Key":    {"Name"}, "TagSpecification.1.Tag.1.Value": {name},
	}
	for i, key := range slices.Sorted(maps.Keys(tags)) {
		form.Set(fmt.Sprintf("TagSpecification.1.Tag.%d.Key", i+2), key)
		form.Set(fmt.Sprintf("TagSpecification.1.Tag.%d.Value", i+2), tags[key])
	}
	id := ""
	found := func(ctx context.Context) (bool, error) {
		lists, err := c.byName(ctx, region, name)
		if err != nil || len(lists) == 0 {
			return false, err
		}
		id = lists[0].ID
		return true, nil
	}
	q := call{action: "CreateNetworkAcl", region: region, thing: fmt.Sprintf("%q in VPC %q", name, vpc), form: form, landed: found}
	if err := c.do(ctx, q, nil); err != nil {
		return "", err
	}
	return id, c.shown(ctx, q, found)
}

// ChangedError means that a subnet has another network ACL than expected.
type ChangedError struct{ Subnet, List, Expected string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("subnet %q has the network ACL %q, not %q", e.Subnet, e.List, e.Expected)
}

// association returns the network ACL of a subnet and the ID of the association.
func (c *Client) association(ctx context.Context, region, subnet string) (list, id string, err error) {
	lists, err := c.NetworkACLs(ctx, region, map[string][]string{"association.subnet-id": {subnet}})
	if err != nil {
		return "", "", err
	}
	for _, x := range lists {
		if id, ok := x.Associations[subnet]; ok {
			return x.ID, id, nil
		}
	}
	return "", "", &cloudapi.Error{
		Call: "DescribeNetworkAcls", Thing: fmt.Sprintf("subnet %q", subnet), Reason: "InvalidSubnetID.NotFound",
		Message: "there is no such subnet in the region",
	}
}

// NetworkACL returns the ID of a subnet's network ACL.
func (c *Client) NetworkACL(ctx context.Context, region, subnet string) (string, error) {
	list, _, err := c.association(ctx, region, subnet)
	return list, err
}

// ReplaceNetworkACL gives a subnet another network ACL if it has the expected one, and otherwise
// returns a [ChangedError]. It returns when the change is visible, and false if there was nothing
// to change.
//
// The ID of the association makes this safe. Each replacement makes a new ID, so a request can't
// overwrite what somebody else has changed since the read.
func (c *Client) ReplaceNetworkACL(ctx context.Context, region, subnet, list, expected string) (bool, error) {
	current, id, err := c.association(ctx, region, subnet)
	switch {
	case err != nil:
		return false, err
	case current == list:
		return false, nil
	case current != expected:
		return false, &ChangedError{Subnet: subnet, List: current, Expected: expected}
	}
	replaced := func(ctx context.Context) (bool, error) {
		current, now, err := c.association(ctx, region, subnet)
		switch {
		case err != nil:
			return false, err
		case current == list:
			return true, nil
		case now != id:
			return false, &ChangedError{Subnet: subnet, List: current, Expected: list}
		}
		return false, nil
	}
	q := call{
		action: "ReplaceNetworkAclAssociation", region: region, thing: fmt.Sprintf("of subnet %q by %q", subnet, list),
		form: url.Values{"AssociationId": {id}, "NetworkAclId": {list}}, landed: replaced,
	}
	// If the association is gone, it was replaced: by an attempt whose answer was lost, or by
	// somebody else. Read which.
	if err := c.do(ctx, q, nil); err != nil && !refusedAs(err, "InvalidAssociationID.NotFound") {
		return false, err
	}
	return true, c.shown(ctx, q, replaced)
}

// DeleteNetworkACL deletes a network ACL. If it does not exist, that is no error. If a subnet uses
// it, that is one.
func (c *Client) DeleteNetworkACL(ctx context.Context, region, id string) error {
	q := call{action: "DeleteNetworkAcl", region: region, thing: fmt.Sprintf("%q", id), form: url.Values{"NetworkAclId": {id}}}
	if err := c.do(ctx, q, nil); err != nil && !refusedAs(err, "InvalidNetworkAclID.NotFound") {
		return err
	}
	return nil
}

func refusedAs(err error, reason string) bool {
	var e *cloudapi.Error
	return errors.As(err, &e) && e.Reason == reason
}
