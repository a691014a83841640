package scripts_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const rightsManifest = "../deploy/rights.yaml"

const rightsHead = `# Written by make docs from the rights that the scripts declare: edit scripts/*.star.
# One ClusterRole a scenario type, for those who want to allow some of them, and the union of all.
`

// TestDeployRights holds deploy/rights.yaml equal to what the scripts declare.
func TestDeployRights(t *testing.T) {
	holdEqual(t, rightsManifest, writeRights(t))
}

func writeRights(t *testing.T) string {
	t.Helper()
	library := builtIn(t)
	var b strings.Builder
	b.WriteString(rightsHead)
	for _, kind := range library.Types() {
		if len(library[kind].Rights) == 0 {
			continue // it changes no cluster
		}
		rights := map[string]map[string]bool{}
		for _, right := range library[kind].Rights {
			if rights[right.Resource] == nil {
				rights[right.Resource] = map[string]bool{}
			}
			for _, verb := range right.Verbs {
				rights[right.Resource][verb] = true
			}
		}
		name := "ebb-" + strings.ReplaceAll(strings.TrimSuffix(kind, "_scenarios"), "_", "-")
		fmt.Fprintf(&b, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: %s\n  labels:\n    ebb.dev/scenarios: \"true\"\nrules:\n", name)
		for _, resource := range slices.Sorted(maps.Keys(rights)) {
			object, subresource, _ := strings.Cut(resource, "/")
			plural, group, _ := strings.Cut(object, ".")
			if subresource != "" {
				plural += "/" + subresource
			}
			fmt.Fprintf(&b, "- apiGroups: [%q]\n  resources: [%q]\n  verbs: [%s]\n", group, plural, quotedList(slices.Sorted(maps.Keys(rights[resource]))))
		}
	}
	b.WriteString(`---
# For the Events on what is changed and restored: without it, there is a warning.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ebb-events
  labels:
    ebb.dev/scenarios: "true"
rules:
- apiGroups: [""]
  resources: ["events"]
  verbs: ["create"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ebb-all-scenarios
aggregationRule:
  clusterRoleSelectors:
  - matchLabels:
      ebb.dev/scenarios: "true"
rules: []
`)
	return b.String()
}

func quotedList(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(quoted, ", ")
}
