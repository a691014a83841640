package kube

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// selection returns a function that says why an item does not match the selectors of a list, or ""
// if it does. A cache that ignores selectors would answer with other objects, and the chaos would
// hit them.
func (q request) selection() func(Object) string {
	selected := q.selected()
	return func(object Object) string {
		return selected(Meta(object).GetLabels(), func(path string) (string, bool) {
			got, there, err := unstructured.NestedString(object, strings.Split(path, ".")...)
			return got, there && err == nil
		})
	}
}

// selected is selection with the labels of an item and a function for the value of a field. Some
// fields exist only in the API server, and are not checked. The API server refuses a selector that
// can't be parsed.
func (q request) selected() func(of labels.Set, field func(path string) (string, bool)) string {
	byLabel, err := labels.Parse(q.query.Get("labelSelector"))
	if err != nil {
		byLabel = labels.Everything()
	}
	byField, err := fields.ParseSelector(q.query.Get("fieldSelector"))
	if err != nil {
		byField = fields.Everything()
	}
	return func(of labels.Set, field func(path string) (string, bool)) string {
		if !byLabel.Matches(of) {
			return fmt.Sprintf("the label selector %q does not match", byLabel)
		}
		for _, wanted := range byField.Requirements() {
			got, there := field(wanted.Field)
			if there && (got == wanted.Value) == (wanted.Operator == selection.NotEquals) {
				return fmt.Sprintf("the field selector %q does not match", byField)
			}
		}
		return ""
	}
}
