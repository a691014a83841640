package kube

import (
	"context"
	"fmt"
)

const (
	metaVersion = "meta.k8s.io/v1"
	metaList    = jsonType + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// ListMetadata reads the metadata of all objects that match, in pages: of a thousand Secrets, what
// they are and not what is in them. A server that can't leave out the rest is an error.
func (c *Client) ListMetadata(ctx context.Context, r Resource, namespace string, o ListOptions) ([]Object, error) {
	return c.pages(ctx, r, namespace, o, func(q *request) { q.accept, q.expect = metaList, q.metadataList })
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
	if Meta(list).GetResourceVersion() == "" {
		return "a list without a resource version"
	}
	selected := q.selection()
	for _, item := range items {
		object, ok := item.(Object)
		if !ok {
			return fmt.Sprintf("a list with an item of type %T", item)
		}
		if got := selected(object); got != "" {
			return fmt.Sprintf("a list with %q, which %s", Meta(object).GetName(), got)
		}
		meta := Meta(object)
		if meta.GetName() == "" || meta.GetUID() == "" || q.namespace != "" && meta.GetNamespace() != q.namespace {
			return fmt.Sprintf("a list with %q in namespace %q", meta.GetName(), meta.GetNamespace())
		}
	}
	return ""
}
