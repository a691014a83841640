package aws

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// says answers with a text.
func says(text string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { fmt.Fprint(w, text) }
}

// B1: an answer that is not EC2's, or is about something else, is neither presence nor absence.
func TestForeignAnswers(t *testing.T) {
	ec2, c := open(t)
	ec2.AddInstance("i-1", "running")
	ec2.AddACL("vpc-1", "acl-1")
	for _, text := range []string{
		`<html><body>please log in</body></html>`, `<?xml version="1.0"?><Response><requestId>r-1</requestId></Response>`,
		`<DescribeVpcsResponse/>`, `{}`, ``, `OK`, `<DescribeInstancesResponse><requestId>r-1</requestId></DescribeInstancesResponse>`,
		`<DescribeNetworkAclsResponse/>`, `<DescribeNetworkAclsResponse><reservationSet/></DescribeNetworkAclsResponse>`,
		`<DescribeInstancesResponse><networkAclSet/></DescribeInstancesResponse>`, `<DescribeInstancesResponse><reservationSet>`,
	} {
		ec2.Fault("DescribeInstances", says(text))
		if states, err := c.Instances(t.Context(), "", []string{"i-1"}); err != nil || states["i-1"] != Running {
			t.Errorf("%s: got %v, %v, want what the next attempt brings", text, states, err)
		}
		ec2.Fault("DescribeNetworkAcls", says(text))
		if lists, err := c.NetworkACLs(t.Context(), "", map[string][]string{"vpc-id": {"vpc-1"}}); err != nil || len(lists) == 0 {
			t.Errorf("%s: got %v, %v, want what the next attempt brings", text, lists, err)
		}
	}
	ec2.Fault("DescribeInstances", says(`<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-2</instanceId>`+
		`<instanceState><name>running</name></instanceState></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`))
	if states, err := c.Instances(t.Context(), "", []string{"i-1"}); err == nil || !strings.Contains(err.Error(), `about instance "i-2"`) {
		t.Errorf("got %v, %v, want an error about the other instance", states, err)
	}
	ec2.Fault("DescribeNetworkAcls", says(`<DescribeNetworkAclsResponse><networkAclSet><item><networkAclId>acl-9</networkAclId><vpcId>vpc-9</vpcId></item></networkAclSet></DescribeNetworkAclsResponse>`))
	if lists, err := c.NetworkACLs(t.Context(), "", map[string][]string{"vpc-id": {"vpc-1"}}); err == nil || !strings.Contains(err.Error(), `network ACL "acl-9"`) {
		t.Errorf("got %v, %v, want an error about the other list", lists, err)
	}
}
