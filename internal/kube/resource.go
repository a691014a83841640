package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/suggest"
)

// Resource says where the API server keeps the objects of a kind.
type Resource struct {
	Group, Version, Kind, Plural string
	Namespaced                   bool
}

// APIVersion returns the apiVersion of the objects: "v1", "apps/v1".
func (r Resource) APIVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

func (r Resource) String() string { return r.APIVersion() + " " + r.Kind }

// commonKinds need no discovery, whose requests an API server in trouble may not answer. An empty
// apiVersion means the first of a kind.
var commonKinds = []Resource{
	{"", "v1", "ConfigMap", "configmaps", true},
	{"", "v1", "Endpoints", "endpoints", true},
	{"", "v1", "Event", "events", true},
	{"", "v1", "LimitRange", "limitranges", true},
	{"", "v1", "Namespace", "namespaces", false},
	{"", "v1", "Node", "nodes", false},
	{"", "v1", "PersistentVolume", "persistentvolumes", false},
	{"", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true},
	{"", "v1", "Pod", "pods", true},
	{"", "v1", "ReplicationController", "replicationcontrollers", true},
	{"", "v1", "ResourceQuota", "resourcequotas", true},
	{"", "v1", "Secret", "secrets", true},
	{"", "v1", "Service", "services", true},
	{"", "v1", "ServiceAccount", "serviceaccounts", true},
	{"apps", "v1", "DaemonSet", "daemonsets", true},
	{"apps", "v1", "Deployment", "deployments", true},
	{"apps", "v1", "ReplicaSet", "replicasets", true},
	{"apps", "v1", "StatefulSet", "statefulsets", true},
	{"autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true},
	{"batch", "v1", "CronJob", "cronjobs", true},
	{"batch", "v1", "Job", "jobs", true},
	{"coordination.k8s.io", "v1", "Lease", "leases", true},
	{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true},
	{"networking.k8s.io", "v1", "Ingress", "ingresses", true},
	{"networking.k8s.io", "v1", "IngressClass", "ingressclasses", false},
	{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true},
	{"policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", true},
	{"rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", false},
	{"rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", false},
	{"rbac.authorization.k8s.io", "v1", "Role", "roles", true},
	{"rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true},
	{"scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false},
	{"storage.k8s.io", "v1", "StorageClass", "storageclasses", false},
	{"storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", false},
}

// Resolve finds a kind. For a common kind it sends no request, and apiVersion may be empty. For any
// other apiVersion it reads the list of the server once.
func (c *Client) Resolve(ctx context.Context, apiVersion, kind string) (Resource, error) {
	for _, r := range commonKinds {
		if r.Kind == kind && (apiVersion == "" || apiVersion == r.APIVersion()) {
			return r, nil
		}
	}
	if apiVersion == "" {
		hint := `give its api_version, such as "example.com/v1"`
		if s := similarKind(kind, commonKinds); s != "" {
			hint = fmt.Sprintf("did you mean %q?", s)
		}
		return Resource{}, resolveError("", kind, hint)
	}
	known, err := c.discover(ctx, apiVersion)
	var none *NoKindError
	if errors.As(err, &none) {
		return Resource{}, resolveError(apiVersion, kind, noSuchVersion)
	}
	if err != nil {
		return Resource{}, err
	}
	for _, r := range known {
		if r.Kind == kind {
			return r, nil
		}
	}
	hint := "kubectl api-resources lists what the API server has"
	if s := similarKind(kind, known); s != "" {
		hint = fmt.Sprintf("did you mean %q?", s)
	}
	return Resource{}, resolveError(apiVersion, kind, hint)
}

// ResolvePlural finds a resource by its RBAC name, in the version that the API server prefers. For
// a common one it sends no request.
func (c *Client) ResolvePlural(ctx context.Context, group, plural string) (Resource, error) {
	for _, r := range commonKinds {
		if r.Group == group && r.Plural == plural {
			return r, nil
		}
	}
	apiVersion := "v1"
	if group != "" {
		if err := checkSegment("group", group); err != nil {
			return Resource{}, err
		}
		q := c.request("get", http.MethodGet, Resource{Group: group, Plural: "api groups"}, "", "")
		q.path, q.expect = []string{"apis", group}, func(o Object) string { return isA(o, "v1", "APIGroup") }
		a, err := c.read(ctx, q)
		if err != nil {
			return Resource{}, err
		}
		var found metav1.APIGroup
		if err := json.Unmarshal(a.body, &found); err != nil {
			return Resource{}, q.fail(fmt.Errorf("reading the API server's versions of %s: %w", group, err))
		}
		apiVersion = found.PreferredVersion.GroupVersion
	}
	known, err := c.discover(ctx, apiVersion)
	if err != nil {
		return Resource{}, err
	}
	for _, r := range known {
		if r.Plural == plural {
			return r, nil
		}
	}
	return Resource{}, &Error{Verb: "resolve", Resource: plural, Err: fmt.Errorf("%s has no such resource", apiVersion)}
}

func resolveError(apiVersion, kind, hint string) error {
	return &Error{Verb: "resolve", Resource: "kinds", Err: &NoKindError{APIVersion: apiVersion, Kind: kind, hint: hint}}
}

// discover asks the server for the kinds of one apiVersion.
func (c *Client) discover(ctx context.Context, apiVersion string) ([]Resource, error) {
	c.mu.Lock()
	known, ok := c.discovered[apiVersion]
	c.mu.Unlock()
	if ok {
		return known, nil
	}
	group, version, grouped := strings.Cut(apiVersion, "/")
	path := []string{"apis", group, version}
	if !grouped {
		group, version = "", apiVersion
		path = []string{"api", version}
	}
	for _, segment := range path {
		if err := checkSegment("api_version", segment); err != nil {
			return nil, err
		}
	}
	q := c.request("get", http.MethodGet, Resource{Group: group, Version: version, Plural: "api resources"}, "", "")
	q.path, q.expect = path, kindsOf(apiVersion)
	a, err := c.read(ctx, q)
	if err != nil {
		return nil, err
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(a.body, &list); err != nil {
		return nil, q.fail(fmt.Errorf("reading the API server's list of kinds: %w", err))
	}
	for _, r := range list.APIResources {
		if strings.Contains(r.Name, "/") { // a subresource
			continue
		}
		known = append(known, Resource{Group: group, Version: version, Kind: r.Kind, Plural: r.Name, Namespaced: r.Namespaced})
	}
	c.mu.Lock()
	c.discovered[apiVersion] = known
	c.mu.Unlock()
	return known, nil
}

// similarKind returns the kind that a plural or a misspelt name probably means, or "".
func similarKind(kind string, known []Resource) string {
	kinds := map[string]string{}
	for _, r := range known {
		kinds[r.Plural] = r.Kind
	}
	for _, r := range known {
		kinds[r.Kind] = r.Kind
	}
	if named, ok := kinds[kind]; ok {
		return named
	}
	return kinds[suggest.Nearest(kind, slices.Collect(maps.Keys(kinds)))]
}

// SplitResource reads a resource in the way RBAC rules are written about: "pods/exec",
// "networkpolicies.networking.k8s.io".
func SplitResource(text string) (group, plural, subresource string) {
	text, subresource, _ = strings.Cut(text, "/")
	plural, group, _ = strings.Cut(text, ".")
	return group, plural, subresource
}
