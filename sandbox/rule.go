package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// A rule is the value of one --allow: verbs, a resource and a namespace.
type rule struct {
	verbs     []string
	resources []groupResource
	namespace string // "" means the whole cluster
}

type groupResource struct{ name, group, sub string }

var (
	verbWord     = regexp.MustCompile(`^([a-z]+|\*)$`)
	resourceWord = regexp.MustCompile(`^([a-z0-9]+|\*)$`)
	groupWord    = regexp.MustCompile(`^([a-z0-9-]+(\.[a-z0-9-]+)*)?$`)
	subWord      = regexp.MustCompile(`^[a-z]+$`)
)

// parseRule parses VERBS:RESOURCES[@NAMESPACE].
func parseRule(text, defaultNamespace string) (rule, error) {
	what, namespace, given := strings.Cut(text, "@")
	r := rule{namespace: defaultNamespace}
	if given {
		r.namespace = namespace
		if namespace == "*" {
			r.namespace = metav1.NamespaceAll
		} else if namespace == "" {
			return rule{}, errors.New("got no namespace after @, want a name or *")
		}
	}
	if r.namespace != metav1.NamespaceAll {
		if faults := validation.IsDNS1123Label(r.namespace); len(faults) > 0 {
			return rule{}, fmt.Errorf("got namespace %q: %s", r.namespace, strings.Join(faults, "; "))
		}
	}
	verbs, resources, ok := strings.Cut(what, ":")
	if !ok {
		return rule{}, errors.New(`got no ":", want VERBS:RESOURCES as in get,list:pods`)
	}
	for verb := range strings.SplitSeq(verbs, ",") {
		if !verbWord.MatchString(verb) {
			return rule{}, fmt.Errorf("got verb %q, want a word as in get or *", verb)
		}
		r.verbs = append(r.verbs, verb)
	}
	for resource := range strings.SplitSeq(resources, ",") {
		var g groupResource
		var hasSub, hasGroup bool
		full, sub, hasSub := strings.Cut(resource, "/")
		g.sub = sub
		g.name, g.group, hasGroup = strings.Cut(full, ".")
		if !resourceWord.MatchString(g.name) || !groupWord.MatchString(g.group) || hasGroup && g.group == "" || hasSub && !subWord.MatchString(sub) {
			return rule{}, fmt.Errorf("got resource %q, want NAME[.GROUP][/SUBRESOURCE] as in pods/exec or networkpolicies.networking.k8s.io", resource)
		}
		r.resources = append(r.resources, g)
	}
	return r, nil
}

// String returns a text that parseRule parses to the same rule.
func (r rule) String() string {
	names := make([]string, len(r.resources))
	for i, g := range r.resources {
		names[i] = g.name
		if g.group != "" {
			names[i] += "." + g.group
		}
		if g.sub != "" {
			names[i] += "/" + g.sub
		}
	}
	namespace := r.namespace
	if namespace == metav1.NamespaceAll {
		namespace = "*"
	}
	return strings.Join(r.verbs, ",") + ":" + strings.Join(names, ",") + "@" + namespace
}

// byNamespace converts the rules to RBAC rules, by the namespace of their role.
func byNamespace(rules []rule) map[string][]rbacv1.PolicyRule {
	policies := map[string][]rbacv1.PolicyRule{}
	for _, r := range rules {
		for _, g := range r.resources {
			resource := g.name
			if g.sub != "" {
				resource += "/" + g.sub
			}
			policies[r.namespace] = append(policies[r.namespace], rbacv1.PolicyRule{
				Verbs: r.verbs, APIGroups: []string{g.group}, Resources: []string{resource},
			})
		}
	}
	return policies
}

// questions returns an access review for every single right of the rule.
func (r rule) questions() []authorizationv1.ResourceAttributes {
	var all []authorizationv1.ResourceAttributes
	for _, g := range r.resources {
		for _, verb := range r.verbs {
			all = append(all, authorizationv1.ResourceAttributes{
				Namespace: r.namespace, Verb: verb, Group: g.group, Resource: g.name, Subresource: g.sub,
			})
		}
	}
	return all
}
