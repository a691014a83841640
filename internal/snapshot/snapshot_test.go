package snapshot

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/ebb-chaos/ebb/internal/kube"
)

var (
	pods        = Usual[2]
	deployments = Usual[5]
	secrets     = kube.Resource{Version: "v1", Kind: "Secret", Plural: "secrets", Namespaced: true}
	nodes       = kube.Resource{Version: "v1", Kind: "Node", Plural: "nodes"}
)

// of makes a snapshot of YAML documents.
func of(t *testing.T, text string) *Snapshot {
	t.Helper()
	s := &Snapshot{kinds: []kube.Resource{pods, deployments, secrets, nodes}, objects: map[kube.Resource][]object{}}
	for _, document := range strings.Split(text, "\n---\n") {
		var o kube.Object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatal(err)
		}
		for _, r := range s.kinds {
			if r.Kind != o["kind"] {
				continue
			}
			if seen, ok := look(r, o); ok {
				s.objects[r] = append(s.objects[r], seen)
			}
		}
	}
	return s
}

const before = `
kind: Deployment
metadata: {name: web, namespace: shop, uid: one, annotations: {deployment.kubernetes.io/revision: "1"}}
spec: {replicas: 3, template: {spec: {containers: [{name: a, env: [{name: PASSWORD, value: hush}]}]}}}
status: {replicas: 3}
---
kind: Pod
metadata: {name: web-abc, namespace: shop, uid: two, generateName: web-, ownerReferences: [{kind: ReplicaSet, name: web, uid: rs, controller: true}]}
spec: {nodeName: one, volumes: [{name: kube-api-access-abcde}]}
status: {phase: Running, conditions: [{type: Ready, status: "True"}]}
---
kind: Secret
metadata: {name: token, namespace: shop}
data: {key: aHVzaA==}
---
kind: Node
metadata: {name: worker}
spec: {}
---
kind: Pod
metadata: {name: elsewhere, namespace: other}
`

func TestDifferences(t *testing.T) {
	in := Scope{Namespaces: []string{"shop"}, Objects: map[string]bool{"Node worker": true}}
	for _, c := range []struct {
		what     string
		old, new []string // replaced, in turn
		want     []string
	}{
		{"nothing", nil, nil, nil},
		{"made anew", []string{"uid: one", "web-abc", "nodeName: one", "access-abcde", `revision: "1"`}, []string{"uid: three", "web-xyz", "nodeName: two", "access-xyzzy", `revision: "3"`}, nil},
		{"another namespace", []string{"name: elsewhere"}, []string{"name: new"}, nil},
		{"scaled", []string{"replicas: 3, t"}, []string{"replicas: 0, t"}, []string{"Deployment shop/web: spec.replicas: 3 before, now 0"}},
		{"a password", []string{"value: hush"}, []string{"value: loud"}, []string{"Deployment shop/web: spec.template.spec.containers[0].env[0].value differs"}},
		{"a secret", []string{"key: aHVzaA=="}, []string{"key: bG91ZA=="}, []string{"Secret shop/token: data.key differs"}},
		{"cordoned", []string{"spec: {}"}, []string{"spec: {unschedulable: true}"}, []string{"Node worker: spec.unschedulable: nothing before, now true"}},
		{"not ready", []string{`status: "True"`}, []string{`status: "False"`}, []string{"Pod of ReplicaSet web in shop: 1 as before are missing, 1 are otherwise"}},
		{"gone and left", []string{"name: web, namespace: shop, uid: one"}, []string{"name: new, namespace: shop, uid: one"}, []string{"Deployment shop/new is left", "Deployment shop/web is gone"}},
	} {
		now := before
		for i := range c.old {
			if !strings.Contains(now, c.old[i]) {
				t.Fatalf("%s: nothing is %q", c.what, c.old[i])
			}
			now = strings.ReplaceAll(now, c.old[i], c.new[i])
		}
		got := of(t, before).Differences(of(t, now), in)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.what, got, c.want)
		}
		if strings.Contains(strings.Join(got, ""), "hush") {
			t.Errorf("%s: a secret is shown: %q", c.what, got)
		}
	}
}
