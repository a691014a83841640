package main

import (
	"slices"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// policyKinds are the kinds of policies that take precedence over network policies, or add to them, by their plurals.
var policyKinds = map[string]string{
	"adminnetworkpolicies":             "AdminNetworkPolicy",
	"clusternetworkpolicies":           "ClusterNetworkPolicy",
	"ciliumnetworkpolicies":            "CiliumNetworkPolicy",
	"ciliumclusterwidenetworkpolicies": "CiliumClusterwideNetworkPolicy",
}

func init() {
	for plural, version := range map[string]schema.GroupVersion{
		"adminnetworkpolicies":             {Group: "policy.networking.k8s.io", Version: "v1alpha1"},
		"clusternetworkpolicies":           {Group: "policy.networking.k8s.io", Version: "v1alpha2"},
		"ciliumnetworkpolicies":            {Group: "cilium.io", Version: "v2"},
		"ciliumclusterwidenetworkpolicies": {Group: "cilium.io", Version: "v2"},
	} {
		kinds[plural] = version.WithResource(plural)
	}
}

// policykinds adds the kinds of policies beside NetworkPolicy.
func cmdPolicyKinds(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: policykinds")
	}
	for plural, kind := range policyKinds {
		addKind(ts, kinds[plural], kind, !slices.Contains(clusterScoped, plural))
	}
}
