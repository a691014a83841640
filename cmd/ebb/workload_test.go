package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func init() {
	for _, plural := range []string{"daemonsets", "deployments", "replicasets", "statefulsets"} {
		kinds[plural] = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: plural}
	}
}

// What dumpworkloads writes.
var workloads = []string{"services", "endpoints", "deployments", "replicasets", "statefulsets", "daemonsets", "pods"}

// randomVolume is what admission calls the volume of a token.
var randomVolume = regexp.MustCompile(`kube-api-access-[a-z0-9]{5}`)

// dumpworkloads FILE [KIND...] writes the workloads in $NS and their pods, or objects of other kinds, and whether they are ready, as somebody
// sees them who does not care which pod is which: two dumps are the same when there is as much of everything as
// there was, though other objects in the place of the first.
func cmdDumpWorkloads(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: dumpworkloads FILE [KIND...]")
	}
	dumped := workloads
	if len(args) > 1 {
		dumped = args[1:]
	}
	var texts []string
	for _, kind := range dumped {
		for _, item := range named(ts, kind, ".*") {
			if kind == "endpoints" && len(item.GetLabels()) > 0 {
				continue // a controller's, which writes them in its own time
			}
			text, err := json.MarshalIndent(anonymous(item.Object), "", "  ")
			ts.Check(err)
			texts = append(texts, randomVolume.ReplaceAllString(string(text), "kube-api-access"))
		}
	}
	slices.Sort(texts)
	if len(texts) == 0 {
		ts.Fatalf("namespace %s has no workloads", ts.Getenv("NS"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(texts, "\n")+"\n"), 0o600))
}

// anonymous returns an object without what tells it from one that is made anew.
func anonymous(o map[string]any) map[string]any {
	conditions, _, _ := unstructured.NestedSlice(o, "status", "conditions")
	ready := slices.ContainsFunc(conditions, func(c any) bool {
		condition, ok := c.(map[string]any)
		return ok && condition["type"] == "Ready" && condition["status"] == "True"
	})
	phase, _, _ := unstructured.NestedString(o, "status", "phase")
	delete(o, "status")
	o["phase"], o["ready"] = phase, ready
	meta := o["metadata"].(map[string]any)
	for _, key := range []string{"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"} {
		delete(meta, key)
	}
	if meta["generateName"] != nil {
		delete(meta, "name")
		unstructured.RemoveNestedField(o, "spec", "nodeName")
		// They say on which node it is.
		unstructured.RemoveNestedField(o, "metadata", "labels", "topology.kubernetes.io/region")
		unstructured.RemoveNestedField(o, "metadata", "labels", "topology.kubernetes.io/zone")
	}
	unstructured.RemoveNestedField(o, "metadata", "annotations", "endpoints.kubernetes.io/last-change-trigger-time")
	if owners, ok := meta["ownerReferences"].([]any); ok {
		for _, owner := range owners {
			delete(owner.(map[string]any), "uid")
		}
	}
	return o
}

// mutant TYPE OLD NEW… makes the directory mutant with the scenario script of a type and its library, in
// which texts are replaced: chaos that silently does nothing. scenario_scripts_directory takes it in place
// of ebb's own.
func cmdMutant(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args)%2 == 0 {
		ts.Fatalf("usage: mutant TYPE OLD NEW…")
	}
	dir := ts.MkAbs("mutant")
	ts.Check(os.RemoveAll(dir))
	ts.Check(os.MkdirAll(filepath.Join(dir, "lib"), 0o700))
	const scripts = "../../scripts"
	libs, err := filepath.Glob(filepath.Join(scripts, "lib", "*.star"))
	ts.Check(err)
	replaced := map[string]int{}
	for _, file := range append(libs, filepath.Join(scripts, args[0]+".star")) {
		content, err := os.ReadFile(file)
		ts.Check(err)
		for pair := range slices.Chunk(args[1:], 2) {
			replaced[pair[0]] += bytes.Count(content, []byte(pair[0]))
			content = bytes.ReplaceAll(content, []byte(pair[0]), []byte(pair[1]))
		}
		content = bytes.Replace(content, []byte("scenario = Scenario(\n"), []byte("scenario = Scenario(\n    override = True,\n"), 1)
		rel, err := filepath.Rel(scripts, file)
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(dir, rel), content, 0o600))
	}
	for old, times := range replaced {
		if times != 1 {
			ts.Fatalf("the scripts of %s have %q %d times, want it once", args[0], old, times)
		}
	}
}
