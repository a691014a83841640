package builtins_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/aws"
	"github.com/ebb-chaos/ebb/internal/cloudtest"
	"github.com/ebb-chaos/ebb/internal/gcp"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// sky is a session in the clouds, with no cluster.
type sky struct {
	*builtins.Session
	recorder recorder
	ec2      *cloudtest.AWS
	compute  *cloudtest.GCP
	marks    map[string]int // those that are set
	set      int
}

func newSky(t *testing.T, mode builtins.Mode) *sky {
	t.Helper()
	s := &sky{ec2: cloudtest.NewAWS(t), compute: cloudtest.NewGCP(t), marks: map[string]int{}}
	for _, env := range []map[string]string{s.ec2.Env(), s.compute.Env()} {
		for name, value := range env {
			t.Setenv(name, value)
		}
	}
	google := gcp.Open(gcp.Options{Patience: time.Second})
	t.Cleanup(google.Close)
	s.Session = &builtins.Session{
		Mode: mode, Log: slog.New(slog.DiscardHandler), RunUUID: "run-1", ScenarioType: "test_scenarios",
		GCP: google, AWS: aws.Open(aws.Options{Patience: time.Second}), Recorder: &s.recorder,
		Mark: func(verb string, r builtins.Ref, _ time.Time) (func() error, error) {
			key := verb + " " + r.Kind + " " + r.Name
			s.marks[key]++
			s.set++
			return func() error {
				if s.marks[key]--; s.marks[key] == 0 {
					delete(s.marks, key)
				}
				return nil
			}, nil
		},
	}
	s.ec2.AddInstance("i-1", "running")
	s.ec2.AddSubnet("subnet-1", "acl-default")
	s.compute.AddInstance("p/z/a", "RUNNING")
	return s
}

// run calls main of a script, which may refer to what kinds of refs it likes.
func (s *sky) run(t *testing.T, script string) (starlark.Value, error) {
	t.Helper()
	const prelude = `
def undo_it(content):
    pass

def record_undo(*refs):
    set_rollback_callable(undo_it, RollbackContent(), verify = undo_it, undoes = refs)
`
	e := engine.New(engine.Options{Predeclared: builtins.Predeclared(), Bind: builtins.Bind})
	m, err := e.Load(builtins.WithSession(t.Context(), &builtins.Session{Log: s.Log}), "test.star", []byte(prelude+script))
	if err != nil {
		t.Fatal(err)
	}
	return e.Call(builtins.WithSession(t.Context(), s.Session), m.Get("main"))
}

// main runs statements.
func (s *sky) main(t *testing.T, statements ...string) (starlark.Value, error) {
	t.Helper()
	return s.run(t, "def main():\n    "+strings.Join(statements, "\n    ")+"\n")
}

// changes are all builtins that change a cloud, with the ref that each needs.
var changes = map[string]string{
	`cloud.gcp.stop("p/z/a")`:                                             `ref("gcp.Instance", "p/z/a")`,
	`cloud.gcp.start("p/z/a")`:                                            `ref("gcp.Instance", "p/z/a")`,
	`cloud.aws.stop("i-1")`:                                               `ref("aws.Instance", "i-1")`,
	`cloud.aws.start("i-1")`:                                              `ref("aws.Instance", "i-1")`,
	`cloud.aws.create_network_acl("vpc-1", "deny")`:                       `ref("aws.NetworkAcl", "deny")`,
	`cloud.aws.replace_network_acl("subnet-1", "acl-2", "acl-default")`:   `ref("aws.Subnet", "subnet-1")`,
	`cloud.aws.delete_network_acl("ours")`:                                `ref("aws.NetworkAcl", "ours")`,
	`cloud.aws.create_network_acl("vpc-1", "deny", region = "eu-test-1")`: `ref("aws.NetworkAcl", "deny")`,
}

// withOurs puts a list there that the session's run made, and one more of somebody else's.
func withOurs(t *testing.T, s *sky) {
	t.Helper()
	s.ec2.AddACL("vpc-1", "acl-2")
	if _, err := s.AWS.CreateNetworkACL(t.Context(), "", "vpc-1", "ours", map[string]string{builtins.LabelRunUUID: "run-1"}); err != nil {
		t.Fatal(err)
	}
}

func TestCloudWriteAhead(t *testing.T) {
	for call, ref := range changes {
		t.Run(call, func(t *testing.T) {
			s := newSky(t, builtins.Run)
			withOurs(t, s)
			before := s.look()
			other := strings.Replace(ref, `")`, `-other")`, 1)
			_, err := s.main(t, "record_undo("+other+")", call)
			if err == nil || !strings.Contains(err.Error(), "has no rollback") || !strings.Contains(err.Error(), ref) {
				t.Errorf("got %v without its ref", err)
			}
			if s.set > 0 || s.look() != before {
				t.Errorf("it was sent: %s, was %s", s.look(), before)
			}
			if _, err := s.main(t, "record_undo("+ref+")", call); err != nil {
				t.Errorf("got %v with its ref", err)
			}
			if s.set == 0 || len(s.marks) > 0 {
				t.Errorf("%d marks were set, and %v stay", s.set, s.marks)
			}
		})
	}
}

// look is the state of all that the session could change.
func (s *sky) look() string {
	return fmt.Sprint(s.ec2.State("i-1"), s.ec2.ACL("subnet-1"), s.ec2.ACLs(), s.compute.State("p/z/a"))
}

// In a verify callable nothing is changed; in a dry run, what would be is listed.
func TestCloudModes(t *testing.T) {
	for call := range changes {
		t.Run(call, func(t *testing.T) {
			s := newSky(t, builtins.Verify)
			withOurs(t, s)
			before := s.look()
			if _, err := s.main(t, call); err == nil || !strings.Contains(err.Error(), "it only reads") {
				t.Errorf("got %v in a verify callable", err)
			}
			s.Mode = builtins.Plan
			if _, err := s.main(t, call); err != nil || len(texts(s.Planned())) != 1 {
				t.Errorf("got %v, listed %q", err, texts(s.Planned()))
			}
			if s.look() != before || s.set > 0 {
				t.Errorf("it was sent: %s, was %s", s.look(), before)
			}
		})
	}
	s := newSky(t, builtins.Plan)
	if _, err := s.main(t, `cloud.gcp.wait(["p/z/a"], "TERMINATED")`, `cloud.aws.wait(["i-1"], "stopped")`); err != nil {
		t.Errorf("a dry run waits for what nobody changed: %v", err)
	}
}

func TestCloudReads(t *testing.T) {
	s := newSky(t, builtins.Verify)
	v, err := s.main(t,
		`g = cloud.gcp.describe(["p/z/a", "p/z/gone"])`,
		`a = cloud.aws.describe(["i-1", "i-gone"], region = cloud.aws.region())`,
		`acls = cloud.aws.network_acls({"association.subnet-id": ["subnet-1"], "vpc-id": ["vpc-1"]})`,
		`cloud.gcp.wait(["p/z/a"], "RUNNING", timeout = 5)`,
		`return [g, a, acls]`)
	const want = `[{"p/z/a": "RUNNING", "p/z/gone": None}, {"i-1": "running", "i-gone": None}, [{"allows": False, "default": True, "id": "acl-default", "subnets": ["subnet-1"], "tags": {"Name": "theirs-acl-default"}, "vpc": "vpc-1"}]]`
	if err != nil || v.String() != want {
		t.Errorf("got %v, %v\nwant %s", v, err, want)
	}
	for call, want := range map[string]string{
		`cloud.gcp.wait(["p/z/a", "p/z/gone"], "TERMINATED", timeout = 0)`: "p/z/a is RUNNING, p/z/gone is not there",
		`cloud.aws.wait(["i-1"], "stopped", timeout = 0)`:                  "i-1 is running",
		`cloud.gcp.describe(["p/z"])`:                                      "want project/zone/name",
		`cloud.gcp.describe([1])`:                                          "element 0 is a int",
		`cloud.aws.describe([""])`:                                         "element 0 is empty",
		`cloud.aws.network_acls({"vpc-id": []})`:                           "has no values",
		`cloud.aws.network_acls({"vpc-id": "vpc-1"})`:                      "want a name and a list",
		`cloud.aws.describe(["i-1"], region = "evil.example/")`:            "want the name of a region",
	} {
		if _, err := s.main(t, call); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", call, err, want)
		}
	}
	s.GCP, s.AWS = nil, nil
	for _, call := range []string{`cloud.gcp.describe([])`, `cloud.aws.describe([])`, `cloud.aws.region()`} {
		if _, err := s.main(t, call); err == nil || !strings.Contains(err.Error(), "no cloud") {
			t.Errorf("%s: got %v without a cloud", call, err)
		}
	}
}

func TestCloudConflicts(t *testing.T) {
	s := newSky(t, builtins.Undo)
	s.ec2.AddACL("vpc-1", "acl-2")
	s.ec2.AddACL("vpc-1", "acl-3")
	var conflict *builtins.ConflictError
	_, err := s.main(t, `cloud.aws.replace_network_acl("subnet-1", "acl-2", "acl-3")`)
	if !errors.As(err, &conflict) || s.ec2.ACL("subnet-1") != "acl-default" {
		t.Errorf("got %v, subnet has %s", err, s.ec2.ACL("subnet-1"))
	}
	// A list of another run's, and one that a subnet still has.
	if _, err := s.AWS.CreateNetworkACL(t.Context(), "", "vpc-1", "other", map[string]string{builtins.LabelRunUUID: "run-2"}); err != nil {
		t.Fatal(err)
	}
	id, err := s.AWS.CreateNetworkACL(t.Context(), "", "vpc-1", "used", map[string]string{builtins.LabelRunUUID: "run-1"})
	if err != nil {
		t.Fatal(err)
	}
	s.ec2.Replace("subnet-1", id)
	for _, name := range []string{"other", "used", "theirs-acl-2"} {
		if _, err := s.main(t, fmt.Sprintf("cloud.aws.delete_network_acl(%q)", name)); !errors.As(err, &conflict) {
			t.Errorf("delete of %s: got %v", name, err)
		}
	}
	if got := len(s.ec2.ACLs()); got != 5 {
		t.Errorf("%d lists are left, want all 5", got)
	}
	v, err := s.main(t, `return cloud.aws.delete_network_acl("never-made")`)
	if err != nil || v != starlark.False {
		t.Errorf("got %v, %v for one that is not there", v, err)
	}
}

// A request whose fate is open keeps its mark; one that was refused does not, and may be made
// again.
func TestCloudMarks(t *testing.T) {
	s := newSky(t, builtins.Run)
	s.ec2.Fault("StopInstances", cloudtest.Deny)
	v, err := s.main(t, `record_undo(ref("aws.Instance", "i-1"))`, `r = attempt(cloud.aws.stop, "i-1")`, `cloud.aws.stop("i-1")`, `return [r.error.reason, r.error.code]`)
	if err != nil || v.String() != `["UnauthorizedOperation", 403]` || len(s.marks) > 0 {
		t.Errorf("got %v, %v, marks %v", v, err, s.marks)
	}
	for range 20 {
		s.compute.Fault("instances.stop", sandboxtest.DropAnswer)
	}
	_, err = s.main(t, `record_undo(ref("gcp.Instance", "p/z/a"))`, `cloud.gcp.stop("p/z/a")`)
	if err == nil || !strings.Contains(err.Error(), "not known whether") || s.marks["stop gcp.Instance p/z/a"] != 1 {
		t.Errorf("got %v, marks %v", err, s.marks)
	}
	if s.compute.State("p/z/a") != "TERMINATED" {
		t.Error("the stop had landed: this test is about that")
	}
}

// What a killed process sent may still land: until it can't, no state is believed.
func TestCloudSettles(t *testing.T) {
	for kind, read := range map[builtins.Ref]string{
		{Kind: "gcp.Instance", Name: "p/z/a"}:   `cloud.gcp.describe(["p/z/a"])`,
		{Kind: "aws.Instance", Name: "i-1"}:     `cloud.aws.describe(["i-1"])`,
		{Kind: "aws.NetworkAcl", Name: "deny"}:  `cloud.aws.delete_network_acl("deny")`,
		{Kind: "aws.Subnet", Name: "subnet-1"}:  `cloud.aws.replace_network_acl("subnet-1", "acl-default", "acl-2")`,
		{Kind: "aws.Subnet", Name: "subnet-of"}: `cloud.aws.network_acls({"vpc-id": ["vpc-1"]})`,
	} {
		s := newSky(t, builtins.Undo)
		until := time.Now().Add(time.Second)
		s.Unsettled = []builtins.Unsettled{{Verb: "stop", Ref: kind, Until: until}}
		if _, err := s.main(t, read); err != nil {
			t.Errorf("%s: %v", read, err)
		}
		if time.Now().Before(until) {
			t.Errorf("%s believed what it saw while a request to %s was under way", read, kind.Text())
		}
	}
}

// What a request that was cut off has made may not show yet when it can't land any more.
func TestUnknownOutcomeIsChecked(t *testing.T) {
	for _, doubt := range []bool{true, false} {
		s := newSky(t, builtins.Undo)
		s.ec2.AddACL("vpc-1", "acl-new")
		s.ec2.HideACL("acl-new", map[string]string{"Name": "deny", builtins.LabelRunUUID: "run-1"}, 3)
		if doubt {
			s.Unsettled = []builtins.Unsettled{{Verb: "create", Ref: builtins.Ref{Kind: "aws.NetworkAcl", Name: "deny"}, Until: time.Now().Add(-time.Second)}}
		}
		v, err := s.main(t, `return cloud.aws.delete_network_acl("deny")`)
		if err != nil || v != starlark.Bool(doubt) {
			t.Errorf("in doubt %v: got %v, %v, want it found only then", doubt, v, err)
		}
	}
}

// While a request is sent again and again, its mark is renewed.
func TestMarkIsRenewed(t *testing.T) {
	s := newSky(t, builtins.Run)
	var until []time.Time
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release) // should the second mark never come, the next attempt passes
	s.Mark = func(_ string, _ builtins.Ref, u time.Time) (func() error, error) {
		if until = append(until, u); len(until) == 2 {
			release()
		}
		return func() error { return nil }, nil
	}
	s.GCP = gcp.Open(gcp.Options{}) // one attempt may take longer than the others' patience
	t.Cleanup(s.GCP.Close)
	s.compute.Fault("instances.stop", sandboxtest.Hold(held)) // no answer before the second mark
	if _, err := s.main(t, `record_undo(ref("gcp.Instance", "p/z/a"))`, `cloud.gcp.stop("p/z/a")`); err != nil {
		t.Fatal(err)
	}
	if len(until) < 2 || !until[1].After(until[0]) {
		t.Errorf("marks held until %v", until)
	}
}
