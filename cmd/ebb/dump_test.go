package main

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// What the scripts of single scenarios name besides.
func init() {
	kinds["endpoints"] = schema.GroupVersionResource{Version: "v1", Resource: "endpoints"}
	kinds["endpointslices"] = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
	kinds["resourcequotas"] = schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	kinds["limitranges"] = schema.GroupVersionResource{Version: "v1", Resource: "limitranges"}
}

// What dump writes. Endpoints are left out: controllers write them in their own time.
var dumped = []string{"configmaps", "jobs", "networkpolicies", "pods", "services"}

// dump FILE writes all objects in $NS, without what changes by itself: two dumps are
// the same when the cluster is as it was, the very same objects included.
func cmdDump(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: dump FILE")
	}
	var out []byte
	for _, kind := range dumped {
		for _, item := range named(ts, kind, ".*") {
			delete(item.Object, "status")
			for _, key := range []string{"resourceVersion", "managedFields", "generation"} {
				unstructured.RemoveNestedField(item.Object, "metadata", key)
			}
			text, err := json.MarshalIndent(item.Object, "", "  ")
			ts.Check(err)
			out = append(append(out, text...), '\n')
		}
	}
	if len(out) == 0 {
		ts.Fatalf("namespace %s has nothing that could be dumped", ts.Getenv("NS"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o600))
}

// named lists the objects of a kind in $NS whose whole names match, sorted by name.
func named(ts *testscript.TestScript, kind, pattern string) []unstructured.Unstructured {
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	list, err := dynamicClient(ts).Resource(kindOf(ts, kind)).Namespace(ts.Getenv("NS")).List(context.Background(), metav1.ListOptions{})
	ts.Check(err)
	items := slices.DeleteFunc(list.Items, func(o unstructured.Unstructured) bool {
		return o.GetName() == "kube-root-ca.crt" || !re.MatchString(o.GetName())
	})
	slices.SortFunc(items, func(a, b unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	return items
}

// value KIND NAME PATH [WANT] checks a field of the objects whose names match, of which
// there must be one at least: as field does, for some of the objects.
func cmdValue(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: value KIND NAME PATH [WANT]")
	}
	checkField(ts, args[0], args[1], args[2], args[3:])
}

// name VAR KIND PATTERN puts the name of the first object that matches into a variable.
func cmdName(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: name VAR KIND PATTERN")
	}
	var items []unstructured.Unstructured
	if !eventually(func() bool { items = named(ts, args[1], args[2]); return len(items) > 0 }) {
		ts.Fatalf("no %s match %q", args[1], args[2])
	}
	ts.Setenv(args[0], items[0].GetName())
}

// annotate KIND NAME KEY VALUE puts an annotation on the objects whose names match.
func cmdAnnotate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: annotate KIND NAME KEY VALUE")
	}
	items := named(ts, args[0], args[1])
	if len(items) == 0 {
		ts.Fatalf("no %s match %q", args[0], args[1])
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{args[2]: args[3]}}})
	ts.Check(err)
	for _, item := range items {
		_, err := dynamicClient(ts).Resource(kindOf(ts, args[0])).Namespace(ts.Getenv("NS")).
			Patch(context.Background(), item.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
		ts.Check(err)
	}
}
