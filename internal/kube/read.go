package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
)

const (
	pageSize = 500
	// listRestarts limits how often a list that expired between two pages is begun again.
	listRestarts = 3
	// defaultLogBytes limits the memory that a long log takes.
	defaultLogBytes = 1 << 20
)

// ListOptions select objects of a list. Both are in the syntax of kubectl.
type ListOptions struct {
	LabelSelector, FieldSelector string
}

// Get reads one object.
func (c *Client) Get(ctx context.Context, r Resource, namespace, name string) (Object, error) {
	if err := checkObject(r, namespace, name); err != nil {
		return nil, err
	}
	return c.readObject(ctx, c.request("get", http.MethodGet, r, namespace, name))
}

// List reads all objects that match, in pages. An empty namespace means all of them.
func (c *Client) List(ctx context.Context, r Resource, namespace string, o ListOptions) ([]Object, error) {
	objects := []Object{}
	err := c.pages(ctx, r, namespace, o, paging{
		ask: func(q *request) { q.expect = q.list },
		keep: func(list Object) (next string) {
			items, _ := list["items"].([]any)
			for _, item := range items {
				objects = append(objects, withoutManagedFields(item.(Object))) // the list was held against the question
			}
			return Meta(list).GetContinue()
		},
		again: func() { objects = objects[:0] },
	})
	if err != nil {
		return nil, err
	}
	return objects, nil
}

// paging says what is done with the pages of a list.
type paging struct {
	ask   func(*request)                  // makes the request for a page one for the form that is wanted
	keep  func(list Object) (next string) // takes what a page has, and returns the token of the next one
	again func()                          // forgets the pages so far
}

// pages reads a list page by page.
func (c *Client) pages(ctx context.Context, r Resource, namespace string, o ListOptions, p paging) error {
	if err := checkPlace(r, namespace); err != nil {
		return err
	}
	for token, restarts := "", 0; ; {
		q := c.request("list", http.MethodGet, r, namespace, "")
		q.query.Set("limit", strconv.Itoa(pageSize))
		for key, value := range map[string]string{"labelSelector": o.LabelSelector, "fieldSelector": o.FieldSelector, "continue": token} {
			if value != "" {
				q.query.Set(key, value)
			}
		}
		p.ask(&q)
		list, err := c.readObject(ctx, q)
		if token != "" && apierrors.IsResourceExpired(err) && restarts < listRestarts {
			// The pages would no longer be of one moment, so all are read again.
			p.again()
			token, restarts = "", restarts+1
			continue
		}
		if err != nil {
			return err
		}
		if token = p.keep(list); token == "" {
			return nil
		}
	}
}

// Logs reads the end of the log of a container. An empty container means the only one of the pod,
// tailLines 0 means all lines, and limitBytes 0 means 1 MiB.
func (c *Client) Logs(ctx context.Context, namespace, pod, container string, tailLines, limitBytes int64) (string, error) {
	r := Resource{Version: "v1", Kind: "Pod", Plural: "pods", Namespaced: true}
	if err := checkObject(r, namespace, pod); err != nil {
		return "", err
	}
	if tailLines < 0 || limitBytes < 0 {
		return "", fmt.Errorf("got tail of %d lines and limit of %d bytes, want none below 0", tailLines, limitBytes)
	}
	if limitBytes == 0 {
		limitBytes = defaultLogBytes
	}
	q := c.request("get", http.MethodGet, r, namespace, pod)
	q.subresource = "log"
	q.path = append(q.path, "log")
	q.query.Set("limitBytes", strconv.FormatInt(limitBytes, 10))
	if container != "" {
		q.query.Set("container", container)
	}
	if tailLines > 0 {
		q.query.Set("tailLines", strconv.FormatInt(tailLines, 10))
	}
	q.text = true
	a, err := c.read(ctx, q)
	return string(a.body), err
}

// Can asks the API server whether the user of this client may do something, and why. An empty name
// means any.
func (c *Client) Can(ctx context.Context, verb, group, resource, subresource, namespace, name string) (bool, string, error) {
	attributes := Object{"verb": verb, "group": group, "resource": resource}
	for key, value := range map[string]string{"subresource": subresource, "namespace": namespace, "name": name} {
		if value != "" {
			attributes[key] = value
		}
	}
	body, err := json.Marshal(Object{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
		"spec": Object{"resourceAttributes": attributes},
	})
	if err != nil {
		return false, "", fmt.Errorf("can: %w", err)
	}
	r := Resource{Group: "authorization.k8s.io", Version: "v1", Kind: "SelfSubjectAccessReview", Plural: "selfsubjectaccessreviews"}
	// A POST that changes nothing, so it is repeated like a read.
	q := c.request("create", http.MethodPost, r, "", "")
	q.body, q.contentType = body, jsonType
	q.expect = func(review Object) string { return notTheReview(review, q.resource, attributes) }
	review, err := c.readObject(ctx, q)
	if err != nil {
		return false, "", err
	}
	status, _ := review["status"].(Object)
	allowed, _ := status["allowed"].(bool)
	reason, _ := status["reason"].(string)
	if reason == "" {
		reason, _ = status["evaluationError"].(string)
	}
	return allowed, reason, nil
}

// notTheReview returns what came instead of a review of the attributes, or "". A review has no
// name, so the attributes in it are compared.
func notTheReview(review Object, r Resource, attributes Object) string {
	if got := isA(review, r.APIVersion(), r.Kind); got != "" {
		return got
	}
	// A value that is no map has none of the attributes.
	asked, _, _ := unstructured.NestedMap(review, "spec", "resourceAttributes")
	for key, want := range attributes {
		if got := asked[key]; got != want && (got != nil || want != "") {
			return fmt.Sprintf("a review of %s %v", key, orNone(got))
		}
	}
	if _, ok, err := unstructured.NestedBool(review, "status", "allowed"); !ok || err != nil {
		return "a review without an answer"
	}
	return ""
}

// read asks until there is an answer, patience is used up or the context ends.
func (c *Client) read(ctx context.Context, q request) (answer, error) {
	w := c.patience.Begin()
	defer w.End()
	var same tally
	for {
		started := time.Now()
		a := c.attempt(ctx, q, w, started)
		if a.err != nil && ctx.Err() != nil {
			return answer{}, q.cancelled(ctx)
		}
		m := q.missed(a)
		if m == nil {
			if a.err != nil {
				if isStatus(a.err) {
					c.patience.Answered(ctx)
				}
				return answer{}, q.final(a)
			}
			c.patience.Answered(ctx)
			return a, nil
		}
		if err := c.verdict(ctx, q, a, m, &same, w); err != nil {
			if ctx.Err() != nil {
				return answer{}, q.cancelled(ctx)
			}
			if isStatus(err) {
				c.patience.Answered(ctx)
			}
			return answer{}, err
		}
		if err := w.Again(ctx, m.Miss, started); err != nil {
			if ctx.Err() != nil {
				return answer{}, q.cancelled(ctx)
			}
			return answer{}, q.fail(err)
		}
	}
}

func (c *Client) readObject(ctx context.Context, q request) (Object, error) {
	a, err := c.read(ctx, q)
	return a.object, err
}

// decode reads an object from an answer. Whole numbers become int64.
func decode(body []byte) (Object, error) {
	var object Object
	if err := json.Unmarshal(body, &object); err != nil {
		return nil, fmt.Errorf("the API server's answer is no object: %w", err)
	}
	if object == nil {
		return nil, errors.New("the API server's answer is empty")
	}
	return withoutManagedFields(object), nil
}
