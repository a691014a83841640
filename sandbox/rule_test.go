package main

import (
	"reflect"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

func TestParseRule(t *testing.T) {
	for _, test := range []struct{ text, namespace, want string }{
		{"get:pods", "", "get:pods@*"},
		{"get,list:pods", "shop", "get,list:pods@shop"},
		{"get:pods@*", "shop", "get:pods@*"},
		{"get:pods@kube-system", "shop", "get:pods@kube-system"},
		{"create:pods/exec", "", "create:pods/exec@*"},
		{"update:deployments.apps/scale", "", "update:deployments.apps/scale@*"},
		{"create,delete:networkpolicies.networking.k8s.io,pods", "", "create,delete:networkpolicies.networking.k8s.io,pods@*"},
		{"*:*", "", "*:*@*"},
	} {
		r, err := parseRule(test.text, test.namespace)
		if err != nil || r.String() != test.want {
			t.Errorf("parseRule(%q, %q) = %q, %v, want %q", test.text, test.namespace, r, err, test.want)
		}
	}
	for _, test := range []struct{ text, want string }{
		{"", `no ":"`},
		{"pods", `no ":"`},
		{":pods", `verb ""`},
		{"get,:pods", `verb ""`},
		{"GET:pods", `verb "GET"`},
		{"get:", `resource ""`},
		{"get:pods.", `resource "pods."`},
		{"get:pods/", `resource "pods/"`},
		{"get:pods/exec/more", `resource "pods/exec/more"`},
		{"get:pods@", "no namespace after @"},
		{"get:pods@Shop", `namespace "Shop"`},
	} {
		if r, err := parseRule(test.text, ""); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("parseRule(%q) = %q, %v, want an error with %q", test.text, r, err, test.want)
		}
	}
}

func TestRuleBecomesRBAC(t *testing.T) {
	a, err := parseRule("get,list:pods,deployments.apps/scale@shop", "")
	if err != nil {
		t.Fatal(err)
	}
	got := byNamespace([]rule{a})
	verbs := []string{"get", "list"}
	want := map[string][]rbacv1.PolicyRule{"shop": {
		{Verbs: verbs, APIGroups: []string{""}, Resources: []string{"pods"}},
		{Verbs: verbs, APIGroups: []string{"apps"}, Resources: []string{"deployments/scale"}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(a.questions()); n != 4 {
		t.Errorf("%d questions, want 4: two verbs for two resources", n)
	}
}

// What is printed in an error can be typed again and means the same.
func FuzzParseRule(f *testing.F) {
	for _, seed := range []string{"get:pods", "get,list:deployments.apps/scale@shop", "*:*@*", "a:b@", ":", "get:pods/exec,x.y-z@n"} {
		f.Add(seed, "")
		f.Add(seed, "shop")
	}
	f.Fuzz(func(t *testing.T, text, namespace string) {
		r, err := parseRule(text, namespace)
		if err != nil {
			return
		}
		again, err := parseRule(r.String(), "other")
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%q was read as %#v, and its text %q as %#v (%v)", text, r, r, again, err)
		}
	})
}
