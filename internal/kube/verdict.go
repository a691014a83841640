package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/ebb-chaos/ebb/internal/patience"
)

// verdict decides after a failed attempt whether the call goes on. It returns the error with which
// the call ends, or nil.
func (c *Client) verdict(ctx context.Context, q request, a answer, m *miss, t *tally, w *patience.Wait) error {
	over := t.over(m)
	var other *ForeignError
	// The API server knows no API by this name. Its Status says no more than that.
	if errors.As(a.err, &other) && other.Code == http.StatusNotFound && t.times == 1 {
		if served, err := c.serves(ctx, q.resource, w); err == nil && !served {
			return q.fail(&NoKindError{APIVersion: q.resource.APIVersion(), Kind: q.resource.Kind, hint: noSuchVersion})
		}
	}
	if !over {
		return nil
	}
	if m.tries == groupTries {
		// The fault is that of the group only if the API server itself answers.
		if _, err := c.single(ctx, []string{"version"}, func(v Object) string {
			if _, ok := v["gitVersion"].(string); !ok {
				return "no version"
			}
			return ""
		}, w); err != nil {
			t.times = 0
			return nil
		}
	}
	return q.final(a)
}

const noSuchVersion = "the API server has no such api_version: kubectl api-versions lists what it has"

// serves asks whether the API server has a resource. The answer is no only if there is a list
// without it.
func (c *Client) serves(ctx context.Context, r Resource, w *patience.Wait) (bool, error) {
	if r.Group == "" {
		return c.servesCore(ctx, r, w)
	}
	body, err := c.single(ctx, []string{"apis"}, func(v Object) string { return isA(v, "v1", "APIGroupList") }, w)
	if err != nil {
		return false, err
	}
	var groups metav1.APIGroupList
	if err := json.Unmarshal(body, &groups); err != nil {
		return false, err
	}
	known := false
	for _, group := range groups.Groups {
		for _, version := range group.Versions {
			known = known || version.GroupVersion == r.APIVersion()
		}
	}
	if !known || r.Kind == "" {
		return known, nil
	}
	body, err = c.single(ctx, []string{"apis", r.Group, r.Version}, kindsOf(r.APIVersion()), w)
	if err != nil {
		return false, err
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(body, &list); err != nil {
		return false, err
	}
	for _, resource := range list.APIResources {
		if resource.Name == r.Plural {
			return true, nil
		}
	}
	return false, nil
}

// servesCore is serves for the versions of the core API, which has no group.
func (c *Client) servesCore(ctx context.Context, r Resource, w *patience.Wait) (bool, error) {
	body, err := c.single(ctx, []string{"api"}, func(v Object) string {
		if v["kind"] != "APIVersions" {
			return fmt.Sprint(orNone(v["kind"]))
		}
		return ""
	}, w)
	if err != nil {
		return false, err
	}
	var core metav1.APIVersions
	if err := json.Unmarshal(body, &core); err != nil {
		return false, err
	}
	return slices.Contains(core.Versions, r.Version), nil
}

// kindsOf expects the kinds of one apiVersion.
func kindsOf(apiVersion string) func(Object) string {
	return func(list Object) string {
		if list["kind"] != "APIResourceList" { // that of the core API has no apiVersion
			return fmt.Sprint(orNone(list["kind"]))
		}
		if list["groupVersion"] != apiVersion {
			return "the kinds of another api_version"
		}
		return ""
	}
}

// single reads in one attempt what is no object.
func (c *Client) single(ctx context.Context, path []string, expect func(Object) string, w *patience.Wait) ([]byte, error) {
	q := request{verb: "get", method: http.MethodGet, path: path, limit: c.readTimeout, expect: expect}
	var began atomic.Bool
	a := c.send(ctx, q, w, &began)
	return a.body, a.err
}
