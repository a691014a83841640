package kube

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	metaVersion = "meta.k8s.io/v1"
	metaList    = jsonType + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// ListMetadata reads the metadata of all objects that match, in pages: of a thousand Secrets, what
// they are and not what is in them. A server that can't leave out the rest is an error.
func (c *Client) ListMetadata(ctx context.Context, r Resource, namespace string, o ListOptions) ([]Object, error) {
	if err := checkPlace(r, namespace); err != nil {
		return nil, err
	}
	objects := []Object{}
	for token, restarts := "", 0; ; {
		q := c.request("list", http.MethodGet, r, namespace, "")
		q.accept, q.expect = metaList, q.metadataList
		q.query.Set("limit", strconv.Itoa(pageSize))
		for key, value := range map[string]string{"labelSelector": o.LabelSelector, "fieldSelector": o.FieldSelector, "continue": token} {
			if value != "" {
				q.query.Set(key, value)
			}
		}
		list, err := c.readObject(ctx, q)
		if token != "" && apierrors.IsResourceExpired(err) && restarts < listRestarts {
			objects, token, restarts = objects[:0], "", restarts+1
			continue
		}
		if err != nil {
			return nil, err
		}
		items, _ := list["items"].([]any)
		for _, item := range items {
			objects = append(objects, withoutManagedFields(item.(Object))) // the list was held against the question
		}
		if token = Meta(list).GetContinue(); token == "" {
			return objects, nil
		}
	}
}

// metadataList is a list of the metadata of objects in the namespace that was asked for.
func (q request) metadataList(list Object) string {
	if got := isA(list, metaVersion, "PartialObjectMetadataList"); got != "" {
		return got
	}
	items, ok := list["items"].([]any)
	if _, there := list["items"]; !there || !ok && list["items"] != nil {
		return "a list without items"
	}
	for _, item := range items {
		object, ok := item.(Object)
		if !ok {
			return fmt.Sprintf("a list with an item of type %T", item)
		}
		meta := Meta(object)
		if meta.GetName() == "" || meta.GetUID() == "" || q.namespace != "" && meta.GetNamespace() != q.namespace {
			return fmt.Sprintf("a list with %q in namespace %q", meta.GetName(), meta.GetNamespace())
		}
	}
	return ""
}
