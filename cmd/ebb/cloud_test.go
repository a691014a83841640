package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ebb-chaos/ebb/internal/cloudtest"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// scriptClouds is a script's clouds, and the nodes that the proxy adds to the cluster.
type scriptClouds struct {
	ec2     *cloudtest.AWS
	compute *cloudtest.GCP

	mu      sync.Mutex
	nodes   []corev1.Node
	renewed map[string]metav1.MicroTime // when a node's lease was, by its name
	// replaces has another node come in the place of one that is gone for good.
	replaces bool
}

var cloudsOf sync.Map // of *scriptClouds, by *testscript.TestScript

// cloudVariables are what a program finds the clouds by.
var cloudVariables = []string{
	"AWS_ENDPOINT_URL_EC2", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED",
	"AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", "GOOGLE_APPLICATION_CREDENTIALS",
}

// cloudFaults are what can go wrong, by name.
var cloudFaults = map[string]sandboxtest.Fault{
	"pass": sandboxtest.Pass, "drop": sandboxtest.Drop, "drop-answer": sandboxtest.DropAnswer, "silent": sandboxtest.Silent,
	"throttle": cloudtest.Throttle, "500": cloudtest.InternalError, "deny": cloudtest.Deny,
	"ignore":   cloudtest.Ignore,
	"deny-gcp": cloudtest.RefuseGCP(http.StatusForbidden, "forbidden", "Required 'compute.instances.stop' permission"),
}

// cloud start starts EC2 and Compute Engine, for the script alone. Then:
//
//	cloud gcp NAME STATUS, cloud aws ID STATE   put an instance there, which is somebody else's
//	cloud node ZONE PROVIDERID                  has the proxy (proxy start) show such a node, and none of the cluster's;
//	                                            it is ready as long as its instance runs
//	cloud zone ZONE                             puts the instances of the cluster's own nodes of a zone there
//	cloud acl ID, cloud subnet ID ACL           put a network ACL, a subnet there; a subnet that is there gets the ACL
//	cloud allow PATTERN                         gives the network ACLs whose whole names match a rule that allows
//	cloud state PATTERN STATE                   checks the instances whose whole names match, of which there must be one
//	cloud ready PATTERN                         checks the nodes whose whole names match, of which there must be one
//	cloud replaces                              has another node come in the place of each that is gone for good
//	cloud volume ID INSTANCE DEVICE true|false  puts a volume there, which ends with its instance or does not; "" is no instance
//	cloud at VOLUME PATTERN                     checks where a volume is: "INSTANCE DEVICE true|false", or ""
//	cloud has SUBNET PATTERN                    checks the network ACL of a subnet
//	cloud acls PATTERN...                       checks which network ACLs there are
//	cloud fault CALL FAULT...                   gives the next requests of a call their faults
//	cloud wait CALL N                           waits until a call was made so many times, since the start
func cmdCloud(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: cloud start|gcp|aws|node|zone|acl|allow|subnet|state|ready|replaces|volume|at|has|acls|fault|wait ARG...")
	}
	if args[0] == "start" {
		s := &scriptClouds{ec2: cloudtest.NewAWS(testOf(ts)), compute: cloudtest.NewGCP(testOf(ts))}
		for _, env := range []map[string]string{s.ec2.Env(), s.compute.Env()} {
			for name, value := range env {
				ts.Setenv(name, value)
			}
		}
		cloudsOf.Store(ts, s)
		return
	}
	value, ok := cloudsOf.Load(ts)
	if !ok {
		ts.Fatalf("no cloud: start it first")
	}
	s := value.(*scriptClouds)
	want := map[string]int{"gcp": 3, "aws": 3, "node": 3, "zone": 2, "acl": 2, "allow": 2, "subnet": 3, "state": 3, "ready": 2, "volume": 5, "at": 3, "has": 3, "wait": 3}[args[0]]
	if want != 0 && len(args) != want {
		ts.Fatalf("cloud %s: got %d arguments, want %d", args[0], len(args)-1, want-1)
	}
	switch args[0] {
	case "gcp":
		s.compute.AddInstance(args[1], args[2])
	case "aws":
		s.ec2.AddInstance(args[1], args[2])
	case "node":
		s.addNode(ts, args[1], args[2])
	case "zone":
		nodes, err := clientset(ts).CoreV1().Nodes().List(context.Background(), metav1.ListOptions{LabelSelector: corev1.LabelTopologyZone + "=" + args[1]})
		ts.Check(err)
		for _, node := range nodes.Items {
			s.compute.AddInstance(strings.TrimPrefix(node.Spec.ProviderID, "gce://"), "RUNNING")
		}
	case "acl":
		s.ec2.AddACL("vpc-1", args[1])
	case "subnet":
		s.ec2.AddSubnet(args[1], args[2])
	case "allow":
		if !s.ec2.Allow(whole(args[1])) {
			ts.Fatalf("no network ACL is named %s", args[1])
		}
	case "state":
		s.checkStates(ts, whole(args[1]), args[2])
	case "replaces":
		s.mu.Lock()
		s.replaces = true
		s.mu.Unlock()
	case "volume":
		s.ec2.AddVolume(args[1], args[2], args[3], args[4] == "true")
	case "at":
		if got := s.ec2.Volume(args[1]); !whole(args[2]).MatchString(got) {
			ts.Fatalf("volume %s is at %q, want %s", args[1], got, args[2])
		}
	case "ready":
		s.checkReady(ts, whole(args[1]))
	case "has":
		if got := s.ec2.ACL(args[1]); !whole(args[2]).MatchString(got) {
			ts.Fatalf("subnet %s has the network ACL %s, want %s", args[1], got, args[2])
		}
	case "acls":
		s.checkACLs(ts, args[1:])
	case "fault":
		s.fault(ts, args[1], args[2:])
	case "wait":
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		made := func() int { return s.ec2.Calls(args[1]) + s.compute.Calls(args[1]) }
		if !eventually(func() bool { return made() >= n }) {
			ts.Fatalf("%s was called %d times, want %d", args[1], made(), n)
		}
	default:
		ts.Fatalf("cloud: got %q", args[0])
	}
}

// checkACLs checks that there is one network ACL for each pattern, in their order.
func (s *scriptClouds) checkACLs(ts *testscript.TestScript, patterns []string) {
	got := s.ec2.ACLs()
	if !slices.EqualFunc(got, patterns, func(acl, pattern string) bool { return whole(pattern).MatchString(acl) }) {
		ts.Fatalf("the network ACLs are %q, want %q", got, patterns)
	}
}

// fault gives the next requests of a call their faults.
func (s *scriptClouds) fault(ts *testscript.TestScript, call string, names []string) {
	for _, name := range names {
		fault, ok := cloudFaults[name]
		if !ok {
			ts.Fatalf("unknown fault %q", name)
		}
		s.ec2.Fault(call, fault)
		s.compute.Fault(call, fault)
	}
}

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") }

// state returns the state of an instance of either cloud.
func (s *scriptClouds) state(name string) string {
	if strings.Contains(name, "/") {
		return s.compute.State(name)
	}
	return s.ec2.State(name)
}

func (s *scriptClouds) checkStates(ts *testscript.TestScript, names *regexp.Regexp, want string) {
	found := false
	for _, name := range append(s.compute.Names(), s.ec2.Names()...) {
		if !names.MatchString(name) {
			continue
		}
		found = true
		if got := s.state(name); got != want {
			ts.Fatalf("instance %s is %s, want %s", name, got, want)
		}
	}
	if !found {
		ts.Fatalf("no instance matches %s", names)
	}
}

func (s *scriptClouds) checkReady(ts *testscript.TestScript, names *regexp.Regexp) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := false
	for _, node := range s.nodes {
		if !names.MatchString(node.Name) {
			continue
		}
		found = true
		now, err := s.nodeNow(node)
		ts.Check(err)
		if now.Status.Conditions[0].Status != corev1.ConditionTrue {
			ts.Fatalf("node %s is not ready", node.Name)
		}
	}
	if !found {
		ts.Fatalf("no node matches %s", names)
	}
}

// addNode has the proxy show a node. Its name is that of the instance, which runs.
func (s *scriptClouds) addNode(ts *testscript.TestScript, zone, providerID string) {
	value, ok := proxies.Load(ts)
	if !ok {
		ts.Fatalf("no proxy: start it first")
	}
	instance, google := strings.CutPrefix(providerID, "gce://")
	name := instance[strings.LastIndex(instance, "/")+1:]
	if google {
		s.compute.AddInstance(instance, "RUNNING")
	} else {
		instance = name
		s.ec2.AddInstance(instance, "running")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = append(s.nodes, corev1.Node{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name), Labels: map[string]string{corev1.LabelTopologyZone: zone}, Annotations: map[string]string{"instance": instance}},
		Spec:       corev1.NodeSpec{ProviderID: providerID},
	})
	value.(*sandboxtest.Proxy).Handle(s.nodeRequests)
}

const leasesPath = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"

// nodeRequests answers what is asked about the nodes of the sky in the API server's place.
func (s *scriptClouds) nodeRequests(r *http.Request) sandboxtest.Fault {
	if r.Method != http.MethodGet {
		return nil
	}
	if r.URL.Path == "/api/v1/nodes" {
		return s.answer(func() (any, error) { return s.nodeList(r.URL.Query().Get("labelSelector")) })
	}
	s.mu.Lock()
	nodes := slices.Clone(s.nodes)
	s.mu.Unlock()
	for _, node := range nodes {
		switch r.URL.Path {
		case "/api/v1/nodes/" + node.Name:
			return s.answer(func() (any, error) { return s.nodeNow(node) })
		case leasesPath + node.Name:
			return s.answer(func() (any, error) { return s.lease(node) })
		}
	}
	return nil
}

// answer answers with an object, if the server lets the client ask for it.
func (s *scriptClouds) answer(object func() (any, error)) sandboxtest.Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		server := httptest.NewRecorder()
		forward.ServeHTTP(server, r)
		if server.Code != http.StatusOK && server.Code != http.StatusNotFound {
			w.WriteHeader(server.Code)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		answer, err := object()
		var status apierrors.APIStatus
		w.Header().Set("Content-Type", "application/json")
		switch {
		case errors.As(err, &status):
			answer = status.Status()
			w.WriteHeader(http.StatusNotFound)
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			panic(http.ErrAbortHandler) // the client went
		}
	}
}

// nodeNow returns a node as it is, which is a look at its machine.
func (s *scriptClouds) nodeNow(node corev1.Node) (*corev1.Node, error) {
	ask := s.ec2.Node
	if strings.Contains(node.Annotations["instance"], "/") {
		ask = s.compute.Node
	}
	ready, bootID, exists := ask(node.Annotations["instance"])
	if !exists {
		err := apierrors.NewNotFound(corev1.Resource("nodes"), node.Name)
		err.ErrStatus.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		return nil, err
	}
	condition := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionUnknown}
	if ready {
		condition.Status = corev1.ConditionTrue
	}
	node.Status.NodeInfo.BootID = bootID
	node.Status.Conditions = []corev1.NodeCondition{condition}
	return &node, nil
}

func (s *scriptClouds) nodeList(query string) (*corev1.NodeList, error) {
	selector, err := labels.Parse(query)
	if err != nil {
		return nil, err
	}
	list := &corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}, ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
	for _, node := range s.nodes {
		now, err := s.nodeNow(node)
		if err != nil && s.replaces {
			other := node
			other.Name, other.UID = node.Name+"-new", node.UID+"-new"
			other.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
			now, err = &other, nil
		}
		if err == nil && selector.Matches(labels.Set(node.Labels)) {
			list.Items = append(list.Items, *now)
		}
	}
	return list, nil
}

// lease returns what a node's kubelet renewed at the last look that saw it ready.
func (s *scriptClouds) lease(node corev1.Node) (*coordinationv1.Lease, error) {
	now, err := s.nodeNow(node)
	if err != nil {
		return nil, err
	}
	if s.renewed == nil {
		s.renewed = map[string]metav1.MicroTime{}
	}
	if now.Status.Conditions[0].Status == corev1.ConditionTrue {
		s.renewed[node.Name] = metav1.NowMicro()
	}
	renewed := s.renewed[node.Name]
	return &coordinationv1.Lease{
		TypeMeta:   metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, Namespace: "kube-node-lease", UID: "lease-" + node.UID},
		Spec:       coordinationv1.LeaseSpec{RenewTime: &renewed},
	}, nil
}
