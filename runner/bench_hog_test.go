package runner_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"golang.org/x/sync/errgroup"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/runner"
	"github.com/ebb-chaos/ebb/scripts"
	"github.com/ebb-chaos/ebb/versions"
)

const hogNodes = 50

var (
	podResource  = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	nodeResource = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
)

// benchNodes makes nodes that a label selects. No pod has to run on them: what is
// measured ends when the last pod is created.
func benchNodes(b *testing.B, client dynamic.Interface, label string) {
	for i := range hogNodes {
		name := fmt.Sprintf("%s-%d", label, i)
		_, err := client.Resource(nodeResource).Create(b.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{"name": name, "labels": map[string]any{label: "", "kubernetes.io/hostname": name}},
			"spec":     map[string]any{"unschedulable": true},
		}}, metav1.CreateOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := client.Resource(nodeResource).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
				b.Error(err)
			}
		})
	}
}

// BenchmarkHogSetup is the set-up phase of a hog on 50 nodes: from the beginning of the
// run until the last pod is created. One version file is written on the way, and
// the rights are asked for.
func BenchmarkHogSetup(b *testing.B) {
	namespace := sandboxtest.Namespace(b)
	label := namespace
	benchNodes(b, bareClient(b), label)
	scenario := filepath.Join(b.TempDir(), "hog.yaml")
	content := fmt.Sprintf("{hog-type: cpu, namespace: %s, node-selector: %s=, workers: 1, duration: 600}\n", namespace, label)
	if err := os.WriteFile(scenario, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	directory := b.TempDir()
	if err := os.Chmod(filepath.Dir(directory), 0o700); err != nil {
		b.Fatal(err)
	}
	store, err := versions.NewDir(filepath.Join(directory, "versions"))
	if err != nil {
		b.Fatal(err)
	}
	kubeconfig := sandboxtest.Kubeconfig(b)
	for b.Loop() {
		b.StopTimer()
		var created, flushed atomic.Int64
		all := make(chan struct{})
		r, err := runner.New(store, runner.Options{
			Cluster: func() (*rest.Config, error) { return kube.LoadConfig(kubeconfig, "") },
			Scripts: []runner.ScriptDir{{Name: "built-in", FS: scripts.FS}},
			Hooks: runner.Hooks{Reached: func(p runner.Point) {
				switch {
				case p == runner.AfterFlush:
					flushed.Add(1)
				case p == runner.AfterChange && created.Add(1) == hogNodes:
					close(all)
				}
			}},
		})
		if err != nil {
			b.Fatal(err)
		}
		prepared, err := r.Prepare(b.Context(), []runner.ScenarioFile{{Type: "hog_scenarios", Path: scenario}}, false)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context())
		report := make(chan *runner.RunReport, 1)
		b.StartTimer()
		go func() {
			r, err := r.Run(ctx, prepared, runner.RunOptions{UUID: "bench"})
			if err != nil {
				b.Error(err)
			}
			report <- r
		}()
		select {
		case <-all:
		case r := <-report:
			b.Fatalf("ended before its pods were created: %v", r.Scenarios[0].Err)
		}
		b.StopTimer()
		cancel()
		if r := <-report; r.Pending() > 0 || flushed.Load() != 1 {
			b.Fatalf("%d files pending, %d flushed, want none and 1: %v", r.Pending(), flushed.Load(), r.Scenarios[0].Results)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "setup-ms")
}

// BenchmarkHogSetupBare is the bare API calls of that phase: list the nodes, create the pods.
func BenchmarkHogSetupBare(b *testing.B) {
	namespace := sandboxtest.Namespace(b)
	label := namespace
	client := bareClient(b)
	benchNodes(b, client, label)
	pods := client.Resource(podResource).Namespace(namespace)
	for b.Loop() {
		nodes, err := client.Resource(nodeResource).List(b.Context(), metav1.ListOptions{LabelSelector: label + "="})
		if err != nil || len(nodes.Items) != hogNodes {
			b.Fatalf("%v, %d nodes", err, len(nodes.Items))
		}
		group, ctx := errgroup.WithContext(b.Context())
		group.SetLimit(benchWorkers)
		for _, node := range nodes.Items {
			group.Go(func() error {
				_, err := pods.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
					"apiVersion": "v1", "kind": "Pod",
					"metadata": map[string]any{"name": strings.Replace(node.GetName(), label, "hog", 1)},
					"spec": map[string]any{
						"restartPolicy": "Never", "nodeSelector": map[string]any{"kubernetes.io/hostname": node.GetName()},
						"containers": []any{map[string]any{"name": "hog", "image": "hog"}},
					},
				}}, metav1.CreateOptions{})
				return err
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		zero := int64(0)
		if err := pods.DeleteCollection(b.Context(), metav1.DeleteOptions{GracePeriodSeconds: &zero}, metav1.ListOptions{}); err != nil {
			b.Fatal(err)
		}
		for left := hogNodes; left > 0; {
			list, err := pods.List(b.Context(), metav1.ListOptions{})
			if err != nil {
				b.Fatal(err)
			}
			left = len(list.Items)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "setup-ms")
}
