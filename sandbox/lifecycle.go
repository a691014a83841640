package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// storageClass is the default one. Its provisioner is simulated here.
const (
	storageClass   = "sandbox"
	provisioner    = "ebb.dev/sandbox"
	provisionedFor = "sandbox/provisioned-for" // on a PV of ours: the UID of its claim
)

func createStorageClass(ctx context.Context, client kubernetes.Interface) error {
	class := &storagev1.StorageClass{
		ObjectMeta:  metav1.ObjectMeta{Name: storageClass, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: provisioner,
	}
	_, err := client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create storage class %q: %w", storageClass, err)
	}
	return nil
}

// runLifecycles provisions volumes for claims. It ends the cells of ended pods, and removes the
// volumes of deleted claims.
func runLifecycles(ctx context.Context, c *cells, log io.Writer) error {
	report := func(err error) {
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(log, "lifecycles:", err)
		}
	}
	// In the background: a pod on a node that is being set up must not delay other pods.
	ended := func(pod *corev1.Pod) { go func() { report(c.podEnded(pod.Spec.NodeName, pod.UID)) }() }
	factory := informers.NewSharedInformerFactory(c.client, 0)
	pods := factory.Core().V1().Pods().Informer()
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	_, err := pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(old, now any) {
			before, after := old.(*corev1.Pod), now.(*corev1.Pod)
			if before.UID != after.UID { // the end of the first one was missed
				ended(before)
			}
			if after.Status.Phase == corev1.PodSucceeded || after.Status.Phase == corev1.PodFailed {
				ended(after)
			}
		},
		DeleteFunc: func(gone any) {
			if pod, ok := last(gone).(*corev1.Pod); ok {
				ended(pod)
			}
		},
	})
	if err != nil {
		return err
	}
	_, err = claims.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(now any) { report(provision(ctx, c.client, now.(*corev1.PersistentVolumeClaim))) },
		UpdateFunc: func(_, now any) {
			report(provision(ctx, c.client, now.(*corev1.PersistentVolumeClaim)))
		},
		DeleteFunc: func(gone any) {
			if claim, ok := last(gone).(*corev1.PersistentVolumeClaim); ok {
				report(c.claimEnded(claim.Namespace, claim.Name))
				report(unprovision(ctx, c.client, claim.UID))
			}
		},
	})
	if err != nil {
		return err
	}
	factory.StartWithContext(ctx)
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

// last returns an object as it was before its end.
func last(gone any) any {
	if unseen, ok := gone.(cache.DeletedFinalStateUnknown); ok {
		return unseen.Obj
	}
	return gone
}

func volumeName(claim types.UID) string { return "pvc-" + string(claim) }

// provision creates the volume for a claim, and leaves the binding to Kubernetes.
func provision(ctx context.Context, client kubernetes.Interface, claim *corev1.PersistentVolumeClaim) error {
	if claim.Spec.StorageClassName == nil || *claim.Spec.StorageClassName != storageClass || claim.Spec.VolumeName != "" ||
		claim.DeletionTimestamp != nil {
		return nil
	}
	annotations := map[string]string{provisionedFor: string(claim.UID)}
	if size := claim.Annotations[volumeSize]; size != "" {
		annotations[volumeSize] = size
	}
	_, err := client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volumeName(claim.UID), Annotations: annotations},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName: storageClass,
			Capacity:         claim.Spec.Resources.Requests,
			AccessModes:      claim.Spec.AccessModes,
			VolumeMode:       claim.Spec.VolumeMode,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, // we delete it ourselves
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/" + claimPath(claim.Namespace, claim.Name)},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("provision claim %q in namespace %q: %w", claim.Name, claim.Namespace, err)
	}
	return nil
}

func unprovision(ctx context.Context, client kubernetes.Interface, claim types.UID) error {
	err := client.CoreV1().PersistentVolumes().Delete(ctx, volumeName(claim), metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return errors.Join(fmt.Errorf("remove volume %q", volumeName(claim)), err)
	}
	return nil
}
