package main

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

var managedClusters = schema.GroupVersionResource{Group: "cluster.open-cluster-management.io", Version: "v1", Resource: "managedclusters"}

func init() {
	kinds["manifestworks"] = schema.GroupVersionResource{Group: "work.open-cluster-management.io", Version: "v1", Resource: "manifestworks"}
}

// managedcluster adds the kinds of Open Cluster Management and a managed cluster called $NS, and plays the agent that carries
// out its works. The replicas of its deployments are the data of the config map agents.
func cmdManagedCluster(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: managedcluster")
	}
	addKind(ts, managedClusters, "ManagedCluster", false)
	addKind(ts, kinds["manifestworks"], "ManifestWork", true)
	client, name := dynamicClient(ts), ts.Getenv("NS")
	_, err := client.Resource(managedClusters).Create(context.Background(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cluster.open-cluster-management.io/v1", "kind": "ManagedCluster",
		"metadata": map[string]any{"name": name, "labels": map[string]any{"test": name}},
	}}, metav1.CreateOptions{})
	ts.Check(err)
	agent := &workAgent{client: client, cluster: name, begun: map[types.UID]bool{}}
	ts.Defer(func() {
		if err := client.Resource(managedClusters).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			ts.Logf("delete managed cluster: %v", err)
		}
	})
	playUntilEnd(ts, "managed cluster", agent.play) // which ends first
}

// workAgent carries out the works of a managed cluster.
type workAgent struct {
	client  dynamic.Interface
	cluster string
	begun   map[types.UID]bool // works whose job has run
}

var scaleCommand = regexp.MustCompile(`^kubectl scale deployment\.apps/(\S+) --replicas (\d+) -n \S+$`)

func (a *workAgent) play(ctx context.Context) error {
	works := a.client.Resource(kinds["manifestworks"]).Namespace(a.cluster)
	list, err := works.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	agents := a.client.Resource(kinds["configmaps"]).Namespace(a.cluster)
	for _, work := range list.Items {
		manifests, _, _ := unstructured.NestedSlice(work.Object, "spec", "workload", "manifests")
		var reported []any
		for _, m := range manifests {
			manifest := unstructured.Unstructured{Object: m.(map[string]any)}
			switch manifest.GetKind() {
			case "Deployment":
				state, err := agents.Get(ctx, "agents", metav1.GetOptions{})
				if err != nil {
					return err
				}
				text, _, _ := unstructured.NestedString(state.Object, "data", manifest.GetName())
				replicas, err := strconv.Atoi(text)
				if err != nil {
					return err
				}
				reported = append(reported, feedbackOf(manifest.GetName(), "replicas", replicas))
			case "Job":
				ended, err := a.run(ctx, agents, &work, manifest)
				if err != nil {
					return err
				}
				if ended {
					reported = append(reported, feedbackOf(manifest.GetName(), "succeeded", 1))
				}
			}
		}
		status, err := json.Marshal(map[string]any{"status": map[string]any{"resourceStatus": map[string]any{"manifests": reported}}})
		if err != nil {
			return err
		}
		if _, err := works.Patch(ctx, work.GetName(), types.MergePatchType, status, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// run runs a job's commands until one that waits, and reports whether it has ended.
func (a *workAgent) run(ctx context.Context, agents dynamic.ResourceInterface, work *unstructured.Unstructured, job unstructured.Unstructured) (bool, error) {
	containers, _, _ := unstructured.NestedSlice(job.Object, "spec", "template", "spec", "containers")
	args, _, _ := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	data, ended := map[string]string{}, true
	for _, command := range strings.Split(args[0], " && ") {
		if strings.HasPrefix(command, "sleep ") {
			ended = false
			break
		}
		if m := scaleCommand.FindStringSubmatch(command); m != nil {
			data[m[1]] = m[2]
		}
	}
	if a.begun[work.GetUID()] {
		return ended, nil
	}
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return false, err
	}
	_, err = agents.Patch(ctx, "agents", types.MergePatchType, patch, metav1.PatchOptions{})
	a.begun[work.GetUID()] = err == nil
	return ended && err == nil, err
}

// feedbackOf is what a work says of one of its objects.
func feedbackOf(name, value string, number int) any {
	return map[string]any{
		"resourceMeta": map[string]any{"name": name},
		"statusFeedback": map[string]any{"values": []any{map[string]any{
			"name": value, "fieldValue": map[string]any{"type": "Integer", "integer": number},
		}}},
	}
}
