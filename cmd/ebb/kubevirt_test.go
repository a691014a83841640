package main

import (
	"context"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

func init() {
	for _, plural := range []string{"virtualmachines", "virtualmachineinstances"} {
		kinds[plural] = schema.GroupVersionResource{Group: "kubevirt.io", Version: "v1", Resource: plural}
	}
}

// kubevirt adds KubeVirt's kinds, and plays its controller in $NS: virtual machines that are to run have an instance that
// runs, others have none, and an instance of its own runs too. With "kinds" there is no controller.
func cmdKubeVirt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 || len(args) == 1 && args[0] != "kinds" {
		ts.Fatalf("usage: kubevirt [kinds]")
	}
	addKind(ts, kinds["virtualmachines"], "VirtualMachine", true)
	addKind(ts, kinds["virtualmachineinstances"], "VirtualMachineInstance", true)
	if len(args) == 1 {
		return
	}
	client, namespace := dynamicClient(ts), ts.Getenv("NS")
	playUntilEnd(ts, "kubevirt", func(ctx context.Context) error { return playKubeVirt(ctx, client, namespace) })
}

// playUntilEnd plays a controller, turn by turn, until the test ends. What is gone, or was changed by
// somebody else meanwhile, is for the next turn.
func playUntilEnd(ts *testscript.TestScript, name string, turn func(context.Context) error) {
	report := testOf(ts).Logf
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := turn(ctx); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				report("%s: %v", name, err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	ts.Defer(func() {
		cancel()
		<-done
	})
}

func playKubeVirt(ctx context.Context, client dynamic.Interface, namespace string) error {
	machines, err := client.Resource(kinds["virtualmachines"]).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	instances := client.Resource(kinds["virtualmachineinstances"]).Namespace(namespace)
	all, err := instances.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, instance := range all.Items {
		if instance.Object["status"] == nil {
			running := []byte(`{"status":{"phase":"Running"}}`)
			if _, err := instances.Patch(ctx, instance.GetName(), types.MergePatchType, running, metav1.PatchOptions{}); err != nil {
				return err
			}
		}
	}
	for i := range machines.Items {
		// As it is now: what is done on an older state may come long after it.
		machine, err := client.Resource(kinds["virtualmachines"]).Namespace(namespace).Get(ctx, machines.Items[i].GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		running, _, _ := unstructured.NestedBool(machine.Object, "spec", "running")
		strategy, _, _ := unstructured.NestedString(machine.Object, "spec", "runStrategy")
		if strategy == "Manual" {
			continue // somebody starts and stops it by hand
		}
		running = running || strategy == "Always"
		_, err = instances.Get(ctx, machine.GetName(), metav1.GetOptions{})
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			return err
		case err == nil && !running:
			err = instances.Delete(ctx, machine.GetName(), metav1.DeleteOptions{})
		case err != nil && running:
			controller := true
			instance := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance",
				"spec": map[string]any{}, "status": map[string]any{"phase": "Running", "nodeName": "worker-1"},
			}}
			instance.SetName(machine.GetName())
			instance.SetLabels(machine.GetLabels())
			instance.SetOwnerReferences([]metav1.OwnerReference{{
				APIVersion: "kubevirt.io/v1", Kind: "VirtualMachine", Name: machine.GetName(), UID: machine.GetUID(), Controller: &controller,
			}})
			_, err = instances.Create(ctx, instance, metav1.CreateOptions{})
		default:
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}
