package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func init() { kinds["namespaces"] = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"} }

// events REASON KIND NAME N waits until kubectl describe would show N Events with a reason: those on an
// object of that kind, name and UID. Those on objects without a namespace are in the namespace default.
func cmdEvents(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: events REASON KIND NAME N")
	}
	want, err := strconv.Atoi(args[3])
	ts.Check(err)
	namespace, objects := ts.Getenv("NS"), dynamicClient(ts).Resource(kindOf(ts, args[1]))
	at, get := namespace, objects.Namespace(namespace).Get
	if args[1] == "namespaces" {
		at, get = "default", objects.Get
	}
	o, err := get(context.Background(), args[2], metav1.GetOptions{})
	ts.Check(err)
	selector := fields.Set{
		"reason": args[0], "involvedObject.kind": o.GetKind(), "involvedObject.name": o.GetName(),
		"involvedObject.namespace": o.GetNamespace(), "involvedObject.uid": string(o.GetUID()),
	}.AsSelector().String()
	found := ""
	if !eventually(func() bool {
		events, err := clientset(ts).CoreV1().Events(at).List(context.Background(), metav1.ListOptions{FieldSelector: selector})
		ts.Check(err)
		found = ""
		for _, e := range events.Items {
			found += fmt.Sprintf("\n%s %s", e.Type, e.Message)
		}
		return len(events.Items) == want
	}) {
		ts.Fatalf("want %d Events %s on %s %s, got%s", want, args[0], args[1], args[2], found)
	}
}
