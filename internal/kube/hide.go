package kube

import (
	"encoding/base64"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"
)

// hidden replaces a value.
const hidden = "(hidden)"

// shortestValue is the length of the shortest value that is hidden. Shorter ones occur in any text.
const shortestValue = 4

// hideValues returns a refusal without the values of the object that was sent. API servers and
// webhooks quote the environment of a container, which may contain passwords.
func hideValues(q request, s metav1.Status) metav1.Status {
	values := q.values()
	s.Message = hideIn(s.Message, values)
	if s.Details != nil {
		details := *s.Details
		details.Causes = append([]metav1.StatusCause(nil), details.Causes...)
		for i := range details.Causes {
			details.Causes[i].Message = hideIn(details.Causes[i].Message, values)
		}
		s.Details = &details
	}
	return s
}

// values returns the values in the body of the request that may be secret.
func (q request) values() []string {
	var body Object
	if len(q.body) == 0 || json.Unmarshal(q.body, &body) != nil {
		return nil
	}
	return valuesOf(body, nil)
}

// valuesOf finds the values of environment variables and HTTP headers, which have the fields name
// and value, and the values of Secrets.
func valuesOf(v any, found []string) []string {
	switch v := v.(type) {
	case Object:
		_, named := v["name"].(string)
		if value, ok := v["value"].(string); ok && named {
			found = append(found, value)
		}
		if v["kind"] == "Secret" {
			for _, key := range []string{"data", "stringData"} {
				values, _ := v[key].(Object)
				for _, value := range values {
					text, _ := value.(string)
					found = append(found, text)
					if plain, err := base64.StdEncoding.DecodeString(text); err == nil {
						found = append(found, string(plain))
					}
				}
			}
		}
		for _, value := range v {
			found = valuesOf(value, found)
		}
	case []any:
		for _, value := range v {
			found = valuesOf(value, found)
		}
	}
	return found
}

func hideIn(text string, values []string) string {
	for _, value := range values {
		if len(value) < shortestValue {
			continue
		}
		quoted := strconv.Quote(value)
		text = strings.ReplaceAll(strings.ReplaceAll(text, quoted[1:len(quoted)-1], hidden), value, hidden)
	}
	return text
}
