package kube

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// selection returns what says why an item of a list was not asked for, "" if it was. A cache that
// takes two questions for the same, since it leaves out their selectors, would have chaos hit what
// was never selected. A selector that can't be read is for the API server to refuse.
func (q request) selection() func(Object) string {
	byLabel, err := labels.Parse(q.query.Get("labelSelector"))
	if err != nil {
		byLabel = labels.Everything()
	}
	byField, err := fields.ParseSelector(q.query.Get("fieldSelector"))
	if err != nil {
		byField = fields.Everything()
	}
	return func(object Object) string {
		if !byLabel.Matches(labels.Set(Meta(object).GetLabels())) {
			return fmt.Sprintf("the label selector %q does not match", byLabel)
		}
		for _, wanted := range byField.Requirements() {
			// Some fields are the API server's own, and are not in the object.
			got, there, err := unstructured.NestedString(object, strings.Split(wanted.Field, ".")...)
			if there && err == nil && !fieldMatches(got, wanted) {
				return fmt.Sprintf("the field selector %q does not match", byField)
			}
		}
		return ""
	}
}

func fieldMatches(got string, wanted fields.Requirement) bool {
	return (got == wanted.Value) != (wanted.Operator == selection.NotEquals)
}
