package snapshot

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// Usual are the kinds that are looked at in any case: what runs in a namespace, and what it needs.
var Usual = []kube.Resource{
	{Version: "v1", Kind: "ConfigMap", Plural: "configmaps", Namespaced: true},
	{Version: "v1", Kind: "PersistentVolumeClaim", Plural: "persistentvolumeclaims", Namespaced: true},
	{Version: "v1", Kind: "Pod", Plural: "pods", Namespaced: true},
	{Version: "v1", Kind: "Service", Plural: "services", Namespaced: true},
	{Group: "apps", Version: "v1", Kind: "DaemonSet", Plural: "daemonsets", Namespaced: true},
	{Group: "apps", Version: "v1", Kind: "Deployment", Plural: "deployments", Namespaced: true},
	{Group: "apps", Version: "v1", Kind: "ReplicaSet", Plural: "replicasets", Namespaced: true},
	{Group: "apps", Version: "v1", Kind: "StatefulSet", Plural: "statefulsets", Namespaced: true},
	{Group: "batch", Version: "v1", Kind: "Job", Plural: "jobs", Namespaced: true},
	{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy", Plural: "networkpolicies", Namespaced: true},
}

// Kinds adds the resources that a scenario has rights on to the usual ones. What can't be found is
// in unknown, with the reason.
func Kinds(ctx context.Context, client *kube.Client, resources []string) (kinds []kube.Resource, unknown []string) {
	kinds = slices.Clone(Usual)
	for _, resource := range resources {
		group, plural, _ := kube.SplitResource(resource)
		// Those come and go by themselves.
		if slices.Contains([]string{"events", "leases", "endpoints", "endpointslices", "*"}, plural) {
			continue
		}
		r, err := client.ResolvePlural(ctx, group, plural)
		switch {
		case err != nil:
			unknown = append(unknown, fmt.Sprintf("%s: %v", resource, err))
		case !slices.Contains(kinds, r):
			kinds = append(kinds, r)
		}
	}
	return kinds, unknown
}

// Snapshot is what was in a cluster at a moment.
type Snapshot struct {
	kinds   []kube.Resource // that were looked at
	objects map[kube.Resource][]object
}

// Take looks at all objects of the kinds: in the namespaces given, or in all without any. The error
// is for the first kind that can't be listed.
func Take(ctx context.Context, client *kube.Client, kinds []kube.Resource, namespaces []string) (*Snapshot, error) {
	s := &Snapshot{kinds: kinds, objects: map[kube.Resource][]object{}}
	var mu sync.Mutex
	var work sync.WaitGroup
	var failed error
	list := func(r kube.Resource, namespace string) {
		all, err := client.List(ctx, r, namespace, kube.ListOptions{})
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			if failed == nil {
				failed = err
			}
			return
		}
		for _, o := range all {
			if seen, ok := look(r, o); ok {
				s.objects[r] = append(s.objects[r], seen)
			}
		}
	}
	for _, r := range kinds {
		where := namespaces
		if !r.Namespaced || len(namespaces) == 0 {
			where = []string{""}
		}
		for _, namespace := range where {
			work.Go(func() { list(r, namespace) })
		}
	}
	work.Wait()
	return s, failed
}

// Listable returns those of the kinds that the client may list, and of the others why not.
func Listable(ctx context.Context, client *kube.Client, kinds []kube.Resource) (listable []kube.Resource, not []string, err error) {
	for _, r := range kinds {
		allowed, _, err := client.Can(ctx, "list", r.Group, r.Plural, "", "", "")
		switch {
		case err != nil:
			return nil, nil, err
		case allowed:
			listable = append(listable, r)
		default:
			not = append(not, r.Plural+": no right to list them in all namespaces")
		}
	}
	return listable, not, nil
}
