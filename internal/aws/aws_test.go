package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
	"github.com/ebb-chaos/ebb/internal/cloudtest"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open starts an EC2 and a client of it; what the client logs must hold no secret.
func open(t *testing.T) (*cloudtest.AWS, *Client) {
	t.Helper()
	ec2 := cloudtest.NewAWS(t)
	for name, value := range ec2.Env() {
		t.Setenv(name, value)
	}
	var log bytes.Buffer
	t.Cleanup(func() {
		for _, secret := range ec2.Secrets() {
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log holds a secret: %s", log.String())
			}
		}
	})
	return ec2, Open(Options{Patience: 20 * time.Second, Logger: slog.New(slog.NewTextHandler(&log, nil)), UserAgent: "test/1"})
}

// reach waits until an instance has a state.
func reach(t *testing.T, c *Client, id, state string) {
	t.Helper()
	seen, err := c.Poll(t.Context(), time.Minute, func(ctx context.Context) (bool, error) {
		states, err := c.Instances(ctx, "", []string{id})
		return states[id] == state, err
	})
	if err != nil || !seen {
		t.Fatalf("instance %s is not %s: %v", id, state, err)
	}
}

func TestInstances(t *testing.T) {
	ec2, c := open(t)
	ctx := t.Context()
	for i := range 5 {
		ec2.AddInstance(fmt.Sprintf("i-%d", i), "running")
	}
	ec2.AddInstance("i-theirs", "running")
	if err := c.StopInstance(ctx, "", "i-0"); err != nil {
		t.Fatal(err)
	}
	// The call waits for its own effect: the next look must not find the machine running.
	states, err := c.Instances(ctx, "", []string{"i-0", "i-1", "i-2", "i-3", "i-4", "i-gone"})
	if err != nil || len(states) != 5 || states["i-0"] == Running || states["i-4"] != Running {
		t.Errorf("got %v, %v, want five instances, the first no longer running", states, err)
	}
	if err := c.StopInstance(ctx, "", "i-1"); err != nil {
		t.Fatal(err)
	}
	if err := c.StartInstance(ctx, "", "i-1"); !refusedAs(err, "IncorrectInstanceState") {
		t.Errorf("got %v for the start of one that is stopping", err)
	}
	reach(t, c, "i-0", Stopped)
	if err := c.StopInstance(ctx, "", "i-0"); err != nil {
		t.Errorf("stopping a stopped one: %v", err)
	}
	if err := c.StartInstance(ctx, "", "i-0"); err != nil {
		t.Fatal(err)
	}
	reach(t, c, "i-0", Running)
	if got := ec2.State("i-theirs"); got != "running" {
		t.Errorf("somebody else's instance is %q", got)
	}
	if err := c.StopInstance(ctx, "", "i-gone"); !refusedAs(err, "InvalidInstanceID.NotFound") || !strings.Contains(err.Error(), `"i-gone"`) {
		t.Errorf("got %v for an instance that is not there", err)
	}
	if c.StopInstance(ctx, "", "") == nil {
		t.Error("an empty ID was accepted")
	}
}

func TestNetworkACLs(t *testing.T) {
	ec2, c := open(t)
	ctx := t.Context()
	ec2.AddACL("vpc-1", "acl-theirs")
	ec2.AddSubnet("subnet-1", "acl-default")
	id, err := c.CreateNetworkACL(ctx, "", "vpc-1", "krkn-deny-a", map[string]string{"owner": "<me> & co"})
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.NetworkACLs(ctx, "", map[string][]string{"tag:Name": {"krkn-deny-a"}})
	if err != nil || len(found) != 1 || found[0].ID != id || found[0].Tags["owner"] != "<me> & co" || found[0].VPC != "vpc-1" {
		t.Fatalf("got %+v, %v, want the list that was made", found, err)
	}
	all, err := c.NetworkACLs(ctx, "", map[string][]string{"vpc-id": {"vpc-1"}})
	if err != nil || len(all) != 3 {
		t.Errorf("got %d lists, %v, want 3: listings have pages", len(all), err)
	}

	changed, err := c.ReplaceNetworkACL(ctx, "", "subnet-1", id, "acl-default")
	if err != nil || !changed || ec2.ACL("subnet-1") != "krkn-deny-a" {
		t.Fatalf("got %t, %v, subnet has %s", changed, err, ec2.ACL("subnet-1"))
	}
	if list, err := c.NetworkACL(ctx, "", "subnet-1"); err != nil || list != id {
		t.Errorf("got %s, %v: the call returned before its effect is to be seen", list, err)
	}
	if changed, err := c.ReplaceNetworkACL(ctx, "", "subnet-1", id, "acl-default"); err != nil || changed {
		t.Errorf("got %t, %v for what is so already", changed, err)
	}
	if err := c.DeleteNetworkACL(ctx, "", id); !refusedAs(err, "DependencyViolation") {
		t.Errorf("got %v for a list that a subnet has", err)
	}

	ec2.Replace("subnet-1", "acl-theirs")
	var other *ChangedError
	if _, err := c.ReplaceNetworkACL(ctx, "", "subnet-1", "acl-default", id); !errors.As(err, &other) || other.List != "acl-theirs" {
		t.Errorf("got %v, want to hear that somebody else changed it", err)
	}
	if got := ec2.ACL("subnet-1"); got != "acl-theirs" {
		t.Errorf("subnet has %s: what somebody else did was overwritten", got)
	}
	for range 2 { // gone is gone
		if err := c.DeleteNetworkACL(ctx, "", id); err != nil {
			t.Error(err)
		}
	}
	if got := ec2.ACLs(); !slices.Equal(got, []string{"acl-default", "acl-theirs"}) {
		t.Errorf("lists are %q", got)
	}
	if _, err := c.NetworkACL(ctx, "", "subnet-gone"); !refusedAs(err, "InvalidSubnetID.NotFound") {
		t.Errorf("got %v for a subnet that is not there", err)
	}
}

// faults are those after which the same has to come out.
var faults = map[string]sandboxtest.Fault{
	"throttled":       cloudtest.Throttle,
	"internal error":  cloudtest.InternalError,
	"429":             sandboxtest.Refuse(http.StatusTooManyRequests, 0),
	"dropped":         sandboxtest.Drop,
	"answer dropped":  sandboxtest.DropAnswer,
	"answer cut":      sandboxtest.HalfAnswer,
	"answer replaced": sandboxtest.ReplaceAnswer(http.StatusBadGateway),
}

func TestFaults(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			ec2, c := open(t)
			ctx := t.Context()
			ec2.AddInstance("i-1", "running")
			ec2.AddSubnet("subnet-1", "acl-default")
			for _, action := range []string{"DescribeInstances", "StopInstances", "StartInstances", "DescribeNetworkAcls", "CreateNetworkAcl", "ReplaceNetworkAclAssociation", "DeleteNetworkAcl"} {
				ec2.Fault(action, fault)
			}
			if err := c.StopInstance(ctx, "", "i-1"); err != nil {
				t.Fatal(err)
			}
			reach(t, c, "i-1", Stopped)
			if err := c.StartInstance(ctx, "", "i-1"); err != nil {
				t.Fatal(err)
			}
			id, err := c.CreateNetworkACL(ctx, "", "vpc-1", "krkn-deny-a", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := ec2.ACLs(); !slices.Equal(got, []string{"acl-default", "krkn-deny-a"}) {
				t.Fatalf("lists are %q, want one made", got)
			}
			if changed, err := c.ReplaceNetworkACL(ctx, "", "subnet-1", id, "acl-default"); err != nil || !changed {
				t.Fatalf("got %t, %v", changed, err)
			}
			if changed, err := c.ReplaceNetworkACL(ctx, "", "subnet-1", "acl-default", id); err != nil || !changed {
				t.Fatalf("got %t, %v", changed, err)
			}
			if err := c.DeleteNetworkACL(ctx, "", id); err != nil {
				t.Fatal(err)
			}
			if ec2.State("i-1") != "running" || ec2.ACL("subnet-1") != "acl-default" || len(ec2.ACLs()) != 1 {
				t.Errorf("instance is %s, subnet has %s, lists are %q", ec2.State("i-1"), ec2.ACL("subnet-1"), ec2.ACLs())
			}
		})
	}
}

// Between a replacement whose answer is lost and the next attempt, somebody else
// replaces: that must not be undone by the repetition.
func TestReplaceDoesNotOverwriteAfterALostAnswer(t *testing.T) {
	ec2, c := open(t)
	ec2.AddACL("vpc-1", "acl-ours")
	ec2.AddACL("vpc-1", "acl-theirs")
	ec2.AddSubnet("subnet-1", "acl-default")
	ec2.Fault("ReplaceNetworkAclAssociation", func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		defer sandboxtest.DropAnswer(w, r, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		ec2.Replace("subnet-1", "acl-theirs")
	})
	var other *ChangedError
	if _, err := c.ReplaceNetworkACL(t.Context(), "", "subnet-1", "acl-ours", "acl-default"); !errors.As(err, &other) {
		t.Errorf("got %v, want to hear of somebody else", err)
	}
	if got := ec2.ACL("subnet-1"); got != "acl-theirs" {
		t.Errorf("subnet has %s", got)
	}
}

func TestRefusals(t *testing.T) {
	ec2, c := open(t)
	ec2.AddInstance("i-1", "running")
	ec2.Fault("StopInstances", cloudtest.Deny)
	err := c.StopInstance(t.Context(), "", "i-1")
	var e *cloudapi.Error
	if !errors.As(err, &e) || e.Reason != "UnauthorizedOperation" || e.Code != 403 || !strings.Contains(e.Hint, "ec2:StopInstances") {
		t.Errorf("got %v with the hints %q", err, e.Hints())
	}
	if strings.Contains(err.Error(), "Encoded") || cloudapi.Unknown(err) {
		t.Errorf("got %v", err)
	}
	if n := ec2.Calls("StopInstances"); n != 1 {
		t.Errorf("a refusal was asked for %d times", n)
	}

	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	_, err = Open(Options{}).Instances(t.Context(), "", []string{"i-1"})
	if !refusedAs(err, "SignatureDoesNotMatch") || strings.Contains(err.Error(), "another") {
		t.Errorf("got %v for a wrong key", err)
	}
	if got := ec2.State("i-1"); got != "running" {
		t.Errorf("instance is %s", got)
	}
	// A region has servers of its own, and a signature holds for one of them.
	_, err = c.Instances(t.Context(), "us-other-1", []string{"i-1"})
	if !refusedAs(err, "SignatureDoesNotMatch") {
		t.Errorf("got %v for another region", err)
	}
}

func TestNoCredentials(t *testing.T) {
	_, _ = open(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_PROFILE", "")
	_, err := Open(Options{}).Instances(t.Context(), "", []string{"i-1"})
	var e *cloudapi.Error
	if !errors.As(err, &e) || e.Reason != cloudapi.Credentials || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") || e.Hint == "" {
		t.Errorf("got %v, want to hear what was tried", err)
	}
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := Open(Options{}).Region(t.Context()); !refusedAs(err, "NoRegion") {
		t.Errorf("got %v without a region", err)
	}
}

func TestRegionIsNoHost(t *testing.T) {
	_, c := open(t)
	for _, region := range []string{"eu.evil.example/", "EU", "a-", "a b", "\x00"} {
		if _, err := c.Instances(t.Context(), region, []string{"i-1"}); err == nil || !strings.Contains(err.Error(), "want the name of a region") {
			t.Errorf("region %q: got %v", region, err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	_, _ = open(t)
	cases := []struct{ own, all, ignore, region, want string }{
		{"", "", "", "eu-west-1", "https://ec2.eu-west-1.amazonaws.com"},
		{"", "", "", "cn-north-1", "https://ec2.cn-north-1.amazonaws.com.cn"},
		{"", "http://all", "", "eu-west-1", "http://all"},
		{"http://own", "http://all", "", "eu-west-1", "http://own"},
		{"http://own", "http://all", "true", "eu-west-1", "https://ec2.eu-west-1.amazonaws.com"},
	}
	for _, x := range cases {
		t.Setenv("AWS_ENDPOINT_URL_EC2", x.own)
		t.Setenv("AWS_ENDPOINT_URL", x.all)
		t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", x.ignore)
		cfg, err := Open(Options{}).load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := endpoint(t.Context(), cfg, x.region); err != nil || got != x.want {
			t.Errorf("%+v: got %q, %v", x, got, err)
		}
	}
	t.Setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "")
	t.Setenv("AWS_ENDPOINT_URL_EC2", "no-url")
	if _, err := Open(Options{}).Instances(t.Context(), "", []string{"i-1"}); err == nil || !strings.Contains(err.Error(), "AWS_ENDPOINT_URL_EC2") {
		t.Errorf("got %v for an endpoint that is no URL", err)
	}
}

// What a credential process prints by mistake may be the secret.
func TestRedact(t *testing.T) {
	err := errors.New("process provider error: parse failed of process output: {\"SecretAccessKey\": \"hush\"}\n, error: invalid character")
	if got := redact(err); strings.Contains(got, "hush") || !strings.Contains(got, "credential_process") {
		t.Errorf("got %q", got)
	}
	dir := t.TempDir()
	_, _ = open(t)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} {
		t.Setenv(name, "")
	}
	writeFile(t, dir+"/config", "[default]\ncredential_process = echo SECRET-hush\n")
	t.Setenv("AWS_CONFIG_FILE", dir+"/config")
	if _, err := Open(Options{}).Instances(t.Context(), "", []string{"i-1"}); err == nil || strings.Contains(err.Error(), "hush") || errorChainHas(err, "hush") {
		t.Errorf("got %v", err)
	}
}

// FuzzAnswers holds that no answer makes the client fall over.
func FuzzAnswers(f *testing.F) {
	f.Add(200, "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId></item></instancesSet></item></reservationSet></DescribeInstancesResponse>")
	f.Add(503, "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>")
	f.Add(400, "<html>")
	f.Add(403, "")
	f.Fuzz(func(t *testing.T, status int, body string) {
		q := call{action: "StopInstances", thing: `instance "i-1"`}
		err := q.refusal(&cloudapi.Answer{Status: status, Body: []byte(body)})
		if err == nil || strings.ContainsAny(err.Error(), "\n\r") {
			t.Errorf("status %d, body %q: got %v", status, body, err)
		}
	})
}
