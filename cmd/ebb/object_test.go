package main

import (
	"context"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The kinds that scripts may name.
var kinds = map[string]schema.GroupVersionResource{
	"pods":            {Version: "v1", Resource: "pods"},
	"configmaps":      {Version: "v1", Resource: "configmaps"},
	"services":        {Version: "v1", Resource: "services"},
	"networkpolicies": {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
	"jobs":            {Group: "batch", Version: "v1", Resource: "jobs"},
}

func dynamicClient(ts *testscript.TestScript) dynamic.Interface {
	config, err := clientcmd.BuildConfigFromFlags("", ts.Getenv("KUBECONFIG"))
	ts.Check(err)
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{} // Endpoints are read all the same
	client, err := dynamic.NewForConfig(config)
	ts.Check(err)
	return client
}

func kindOf(ts *testscript.TestScript, name string) schema.GroupVersionResource {
	gvr, ok := kinds[name]
	if !ok {
		ts.Fatalf("unknown kind %q", name)
	}
	return gvr
}

// clusterScoped are the kinds of kinds whose objects are in no namespace.
var clusterScoped = []string{"persistentvolumes", "nodes", "adminnetworkpolicies", "clusternetworkpolicies", "ciliumclusterwidenetworkpolicies"}

// inScope returns the objects of a kind: those in the script's namespace, or of a kind that has none.
func inScope(ts *testscript.TestScript, client dynamic.Interface, kind string) dynamic.ResourceInterface {
	if slices.Contains(clusterScoped, kind) {
		return client.Resource(kindOf(ts, kind))
	}
	return client.Resource(kindOf(ts, kind)).Namespace(ts.Getenv("NS"))
}

// found lists a kind in the script's namespace, without what Kubernetes itself puts there.
func found(ts *testscript.TestScript, kind string) []string {
	list, err := dynamicClient(ts).Resource(kindOf(ts, kind)).Namespace(ts.Getenv("NS")).List(context.Background(), metav1.ListOptions{})
	ts.Check(err)
	var names []string
	for _, item := range list.Items {
		if item.GetName() != "kube-root-ca.crt" {
			names = append(names, item.GetName())
		}
	}
	slices.Sort(names)
	return names
}

// objects KIND [PATTERN...] checks that the objects of a kind in $NS are exactly as
// many as there are patterns, and that each pattern matches one. Things that are on
// their way are waited for.
func cmdObjects(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: objects KIND [PATTERN...]")
	}
	var names []string
	matches := func() bool {
		names = found(ts, args[0])
		if len(names) != len(args)-1 {
			return false
		}
		for _, pattern := range args[1:] {
			re := regexp.MustCompile("^(?:" + pattern + ")$")
			if !slices.ContainsFunc(names, re.MatchString) {
				return false
			}
		}
		return true
	}
	if !eventually(matches) {
		ts.Fatalf("%s in namespace %s are %q, want %q", args[0], ts.Getenv("NS"), names, args[1:])
	}
}

// apply KIND FILE creates the objects of a YAML file, all of one kind, in $NS.
func cmdApply(ts *testscript.TestScript, neg bool, args []string) {
	client := dynamicClient(ts)
	for _, document := range strings.Split(ts.ReadFile(args[1]), "\n---\n") {
		var object map[string]any
		ts.Check(yaml.Unmarshal([]byte(document), &object))
		_, err := inScope(ts, client, args[0]).
			Create(context.Background(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
		ts.Check(err)
	}
}

// patch KIND NAME JSON changes an object as somebody else would.
func cmdPatch(ts *testscript.TestScript, neg bool, args []string) {
	_, err := inScope(ts, dynamicClient(ts), args[0]).
		Patch(context.Background(), args[1], types.MergePatchType, []byte(args[2]), metav1.PatchOptions{})
	ts.Check(err)
}

// remove KIND NAME deletes an object as somebody else would.
func cmdRemove(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(inScope(ts, dynamicClient(ts), args[0]).
		Delete(context.Background(), args[1], metav1.DeleteOptions{}))
}

// field KIND PATH WANT checks a field of all objects of a kind in $NS, of which there
// must be one at least. PATH has dots and indices, WANT is JSON, and nothing means that the
// field is not there. What is on its way is waited for.
func cmdField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: field KIND PATH [WANT]")
	}
	checkField(ts, args[0], ".*", args[1], args[2:])
}

// checkField waits for a field of the objects of a kind whose names match. want is nothing, or JSON.
func checkField(ts *testscript.TestScript, kind, pattern, path string, want []string) {
	var wanted any
	if len(want) > 0 {
		ts.Check(json.Unmarshal([]byte(want[0]), &wanted))
	}
	var got []any
	if !eventually(func() bool {
		got = nil
		ok := true
		for _, item := range named(ts, kind, pattern) {
			// Once through JSON, so that all numbers are of one type.
			text, err := json.Marshal(walk(item.Object, strings.Split(path, ".")))
			ts.Check(err)
			var found any
			ts.Check(json.Unmarshal(text, &found))
			got = append(got, found)
			ok = ok && reflect.DeepEqual(found, wanted)
		}
		return ok && len(got) > 0
	}) {
		text, err := json.Marshal(got)
		ts.Check(err)
		ts.Fatalf("%s of %s %s are %s, want %s", path, kind, pattern, text, want)
	}
}

// walk follows a path into a value as encoding/json makes it; nil means that it ends nowhere.
func walk(value any, path []string) any {
	for _, key := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	if n, ok := value.(int64); ok {
		return float64(n)
	}
	return value
}
