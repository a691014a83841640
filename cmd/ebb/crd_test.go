package main

import (
	"context"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// addKind has the API server know a kind of its own, which all scripts share, and scripts know its plural. It takes
// whatever is written into an object.
func addKind(ts *testscript.TestScript, resource schema.GroupVersionResource, kind string, namespaced bool) {
	scope := "Cluster"
	if namespaced {
		scope = "Namespaced"
	}
	definitions := dynamicClient(ts).Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	name, ctx := resource.Resource+"."+resource.Group, context.Background()
	_, err := definitions.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		// Kubernetes' own groups want to be told that this may be one of theirs.
		"metadata": map[string]any{"name": name, "annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, for tests"}},
		"spec": map[string]any{
			"group": resource.Group, "scope": scope,
			"names": map[string]any{"plural": resource.Resource, "kind": kind},
			"versions": []any{map[string]any{
				"name": resource.Version, "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		ts.Check(err)
	}
	// It is served a moment after it was made.
	if !eventually(func() bool {
		_, err := dynamicClient(ts).Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil
	}) {
		ts.Fatalf("%s is not served", name)
	}
}
