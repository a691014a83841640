package schema

import (
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

// wrong says why a text that is taken as it is written can't be a value of its type, "" if it can.
func wrong(text string, t Type) string {
	var problems []string
	switch t {
	case Label:
		problems = validation.IsValidLabelValue(text)
	case Namespace:
		problems = validation.IsDNS1123Label(text)
	case Selector:
		selector, err := labels.Parse(text)
		switch {
		case err != nil:
			problems = []string{err.Error()}
		case selector.Empty():
			problems = []string{"it is blank, and would select everything"}
		}
	}
	if len(problems) == 0 {
		return ""
	}
	first, _, _ := strings.Cut(problems[0], " (e.g.")
	return ": " + first
}

// labels reports whether the values of a map are those of labels, so that its keys are labels' keys.
func (f *Field) labels() bool {
	return f != nil && (f.takes(Label) || f.Items != nil && f.Items.takes(Label))
}

// labelKey reports a key that no label can have.
func (c *checker) labelKey(p pair, path string) {
	if problems := validation.IsQualifiedName(p.name); len(problems) > 0 {
		first, _, _ := strings.Cut(problems[0], " (e.g.")
		got := show(p.name)
		if c.secret > 0 {
			got = "something else"
		}
		c.bad(p.key, path, "got %s as a key, want a label's key: %s", got, first)
	}
}
