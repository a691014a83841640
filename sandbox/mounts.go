package main

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/sandbox/cell"
)

// volumeSize is an annotation of a PVC or its PV: the size that a container sees, such as "32Mi".
const volumeSize = "sandbox/volume-size"

// mounts returns what a container has mounted, and the volumes for it.
func (c *cells) mounts(ctx context.Context, pod *corev1.Pod, container *corev1.Container) (mounts []cell.Mount, volumes []cell.Volume, err error) {
	for _, vm := range container.VolumeMounts {
		i := slices.IndexFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == vm.Name })
		if i < 0 {
			return nil, nil, fmt.Errorf("volume %q is not in the pod", vm.Name) // the API server refuses such a pod
		}
		v := &pod.Spec.Volumes[i]
		sub := vm.SubPath
		if vm.SubPathExpr != "" {
			return nil, nil, fmt.Errorf("volume %q: the sandbox does not know subPathExpr", vm.Name)
		}
		m := cell.Mount{Path: sub, Target: vm.MountPath, ReadOnly: vm.ReadOnly}
		if v.HostPath != nil {
			m.Volume, m.Path = nodePath(pod.Spec.NodeName), path.Join("./"+v.HostPath.Path, sub)
			m.Commands = m.Path == "."
			mounts = append(mounts, m)
			continue
		}
		volume, err := c.volume(ctx, pod, v)
		if err != nil {
			return nil, nil, fmt.Errorf("volume %q: %w", vm.Name, err)
		}
		m.Volume = volume.Path
		m.ReadOnly = m.ReadOnly || volume.Files != nil
		mounts, volumes = append(mounts, m), append(volumes, volume)
	}
	return mounts, volumes, nil
}

func (c *cells) volume(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (cell.Volume, error) {
	own := cell.Volume{Path: path.Join(podPath(pod.UID), "volumes", v.Name)}
	switch {
	case v.PersistentVolumeClaim != nil:
		return c.claim(ctx, pod.Namespace, v.PersistentVolumeClaim.ClaimName)
	case v.Ephemeral != nil:
		return c.claim(ctx, pod.Namespace, pod.Name+"-"+v.Name)
	case v.EmptyDir != nil:
		own.Size = volumeLimit
		return own, nil
	case v.ConfigMap != nil:
		object, err := c.client.CoreV1().ConfigMaps(pod.Namespace).Get(ctx, v.ConfigMap.Name, metav1.GetOptions{})
		if err != nil && !(apierrors.IsNotFound(err) && optional(v.ConfigMap.Optional)) {
			return own, err
		}
		data := maps.Clone(object.BinaryData)
		if data == nil {
			data = map[string][]byte{}
		}
		for key, value := range object.Data {
			data[key] = []byte(value)
		}
		own.Files, err = pickKeys(data, v.ConfigMap.Items, optional(v.ConfigMap.Optional))
		return own, err
	case v.Secret != nil:
		object, err := c.client.CoreV1().Secrets(pod.Namespace).Get(ctx, v.Secret.SecretName, metav1.GetOptions{})
		if err != nil && !(apierrors.IsNotFound(err) && optional(v.Secret.Optional)) {
			return own, err
		}
		own.Files, err = pickKeys(object.Data, v.Secret.Items, optional(v.Secret.Optional))
		return own, err
	}
	return own, nil
}

func optional(o *bool) bool { return o != nil && *o }

// pickKeys returns the keys that a volume asks for: all, or the listed items.
func pickKeys(data map[string][]byte, items []corev1.KeyToPath, optional bool) (map[string][]byte, error) {
	files := map[string][]byte{}
	if len(items) == 0 {
		maps.Copy(files, data)
	}
	for _, item := range items {
		content, ok := data[item.Key]
		if !ok && !optional {
			return nil, fmt.Errorf("key %q is not there", item.Key)
		}
		if ok {
			files[path.Clean(item.Path)] = content
		}
	}
	return files, nil
}

func (c *cells) claim(ctx context.Context, namespace, name string) (cell.Volume, error) {
	claim, err := c.client.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return cell.Volume{}, err
	}
	if claim.Status.Phase != corev1.ClaimBound {
		return cell.Volume{}, fmt.Errorf("claim %q is %s, want Bound", name, claim.Status.Phase)
	}
	asked := claim.Annotations[volumeSize]
	if asked == "" {
		volume, err := c.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
		if err != nil {
			return cell.Volume{}, err
		}
		asked = volume.Annotations[volumeSize]
	}
	v := cell.Volume{Path: claimPath(namespace, name)}
	if asked == "" {
		v.Size = min(claim.Spec.Resources.Requests.Storage().Value(), volumeLimit)
		return v, nil
	}
	size, err := resource.ParseQuantity(asked)
	if err != nil || size.Value() < 1 {
		return v, fmt.Errorf("claim %q: annotation %s is %q, want a size such as 32Mi", name, volumeSize, asked)
	}
	v.Size = size.Value()
	return v, nil
}
