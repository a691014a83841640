package kube

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// metaList asks for protobuf, which takes a tenth of the time of JSON. Refusals come as JSON, since
// they have no such protobuf form and the server then takes the next form in the list.
const (
	metaVersion = "meta.k8s.io/v1"
	metaList    = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, " + jsonType
)

// ListMetadata reads the metadata of all objects of a built-in kind that match, in pages. It never
// reads the content of Secrets: a server that can't leave that out is an error.
func (c *Client) ListMetadata(ctx context.Context, r Resource, namespace string, o ListOptions) ([]metav1.PartialObjectMetadata, error) {
	found, wrong, err := c.listMetadata(ctx, r, namespace, o, true)
	if err == nil && wrong {
		// Now each page is checked before the next one is asked for, and asked for again if it is
		// wrong.
		found, _, err = c.listMetadata(ctx, r, namespace, o, false)
	}
	return found, err
}

// metadataPage is a page of a list. It is decoded while the next page is being fetched.
type metadataPage struct {
	list metav1.PartialObjectMetadataList
	got  string // what it is instead, "" if it is right
}

// listMetadata reads all pages. With ahead, a page is checked while the next one is fetched, and
// the whole list is dropped if one page is wrong.
func (c *Client) listMetadata(ctx context.Context, r Resource, namespace string, o ListOptions, ahead bool) (found []metav1.PartialObjectMetadata, wrong bool, err error) {
	var pages []chan metadataPage
	var newest func() metadataPage // reads the page that came last
	var next string                // the token of the page after it
	err = c.pages(ctx, r, namespace, o, paging{
		ask: func(q *request) {
			q.accept = metaList
			q.take = func(body []byte) string {
				encoded, got := metadataList(body)
				page := metadataPage{got: got}
				if got == "" && ahead {
					page.list, page.got = listMeta(encoded)
					newest = func() metadataPage { return q.metadataPage(encoded) }
				} else if got == "" {
					page = q.metadataPage(encoded)
					newest = func() metadataPage { return page }
				}
				next = page.list.Continue
				return page.got
			}
		},
		keep: func(Object) string {
			page, read := make(chan metadataPage, 1), newest
			pages = append(pages, page)
			go func() { page <- read() }()
			return next
		},
		again: func() { pages = nil },
	})
	all := make([][]metav1.PartialObjectMetadata, 0, len(pages))
	for _, page := range pages {
		p := <-page
		wrong = wrong || p.got != ""
		all = append(all, p.list.Items)
	}
	if err != nil || wrong {
		return nil, wrong, err
	}
	return slices.Concat(all...), false, nil
}

// protobufMagic is how the protobuf answers of the API server begin.
var protobufMagic = []byte("k8s\x00")

// metadataList returns an encoded list of metadata, or what came instead.
func metadataList(body []byte) (encoded []byte, got string) {
	var envelope runtime.Unknown
	content, ok := bytes.CutPrefix(body, protobufMagic)
	if !ok || envelope.Unmarshal(content) != nil {
		return nil, "no protobuf"
	}
	if envelope.APIVersion != metaVersion || envelope.Kind != "PartialObjectMetadataList" {
		return nil, fmt.Sprintf("%v %v", orNone(envelope.APIVersion), orNone(envelope.Kind))
	}
	return envelope.Raw, ""
}

// listMeta decodes the metadata of the list itself, which comes first, and no items.
func listMeta(encoded []byte) (list metav1.PartialObjectMetadataList, got string) {
	const tag = 1<<3 | 2 // of field 1, by its length
	if len(encoded) > 0 && encoded[0] == tag {
		if length, n := binary.Uvarint(encoded[1:]); n > 0 && length <= uint64(len(encoded)-1-n) {
			encoded = encoded[:1+n+int(length)] //nolint:gosec // it is shorter than what is in memory
		}
	}
	if err := list.Unmarshal(encoded); err != nil {
		return list, "a list that can't be read: " + err.Error()
	}
	if list.ResourceVersion == "" {
		return list, "a list without a resource version"
	}
	return list, ""
}

// metadataPage reads a list of the metadata of objects in the namespace that was asked for.
func (q request) metadataPage(encoded []byte) (page metadataPage) {
	if err := page.list.Unmarshal(encoded); err != nil {
		page.got = "a list that can't be read: " + err.Error()
		return page
	}
	if page.list.ResourceVersion == "" {
		page.got = "a list without a resource version"
		return page
	}
	selected := q.metadataSelection()
	for i := range page.list.Items {
		meta := &page.list.Items[i]
		if got := selected(meta); got != "" {
			page.got = fmt.Sprintf("a list with %q, which %s", meta.Name, got)
			return page
		}
		if meta.Name == "" || meta.UID == "" || q.namespace != "" && meta.Namespace != q.namespace {
			page.got = fmt.Sprintf("a list with %q in namespace %q", meta.Name, meta.Namespace)
			return page
		}
		meta.ManagedFields = nil
	}
	return page
}

// metadataSelection is selection for objects of which only the metadata is known. Selectors of
// other fields are not checked.
func (q request) metadataSelection() func(*metav1.PartialObjectMetadata) string {
	selected := q.selected()
	return func(meta *metav1.PartialObjectMetadata) string {
		return selected(meta.Labels, func(path string) (string, bool) {
			got, there := map[string]string{"metadata.name": meta.Name, "metadata.namespace": meta.Namespace}[path]
			return got, there
		})
	}
}
