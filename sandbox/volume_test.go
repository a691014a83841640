package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/remotecommand"
)

func testVolumes(e *execer) {
	e.claim("shared", "1Mi", nil)
	if _, err := e.client.CoreV1().ConfigMaps("default").Create(e.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "settings"},
		Data:       map[string]string{"a": "text", "b": "other"}, BinaryData: map[string][]byte{"c": {0, 255}},
	}, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "password"}, Data: map[string][]byte{"word": []byte("sesame")}}
	if _, err := e.client.CoreV1().Secrets("default").Create(e.Context(), secret, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	e.pod("writer", func(p *corev1.Pod) {
		mountClaim(p, "shared", "/data")
		mount(p, "scratch", "/scratch", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
		mount(p, "node", "/node", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/things"}})
		mount(p, "all", "/all", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}})
		mount(p, "picked", "/picked", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}, Items: []corev1.KeyToPath{{Key: "a", Path: "deep/a.txt"}}}})
		mount(p, "secret", "/secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "password"}})
		p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts,
			corev1.VolumeMount{Name: "all", MountPath: "/scratch/inner/a.conf", SubPath: "a"})
	})
	e.pod("reader", func(p *corev1.Pod) {
		mountClaim(p, "shared", "/elsewhere").SubPath = "sub/dir"
		p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "shared", MountPath: "/readonly", ReadOnly: true})
		mount(p, "scratch", "/scratch", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
		mount(p, "node", "/node", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib"}})
	})
	e.want("", "writer", "mkdir -p /data/sub/dir; echo hello >/data/sub/dir/file; echo mine >/scratch/mine; echo node >/node/file")
	e.want("hello\n", "reader", "cat /elsewhere/file")
	e.want("hello\n", "reader", "cat /readonly/sub/dir/file")
	e.refused("reader", "touch /readonly/x")
	e.refused("reader", "test -e /scratch/mine")
	e.want("node\n", "reader", "cat /node/things/file")
	e.want("text other\nc\n", "writer", `echo $(cat /all/a) $(cat /all/b); ls /all | tail -n 1`)
	e.want("a.txt\ntext", "writer", "ls /picked/deep; cat /picked/deep/a.txt")
	e.want("text", "writer", "cat /scratch/inner/a.conf")
	e.want("sesame", "writer", "cat /secret/word")
	e.refused("writer", "touch /all/x")

	// A pod's own files go with it, the node's and the claim's stay.
	e.want("", "writer", "touch /tmp/x")
	e.delete("writer")
	e.pod("writer", func(p *corev1.Pod) {
		mountClaim(p, "shared", "/data")
		mount(p, "scratch", "/scratch", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}})
		mount(p, "node", "/node", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/things"}})
	})
	e.want("hello\nnode\n", "writer", "cat /data/sub/dir/file /node/file; ls -A /tmp; ls -A /scratch")

	// A claim's files go with the claim.
	e.delete("writer")
	e.delete("reader")
	if err := e.client.CoreV1().PersistentVolumeClaims("default").Delete(e.Context(), "shared", metav1.DeleteOptions{}); err != nil {
		e.Fatal(err)
	}
	eventually(e.T, "the claim and its volume are gone", func() (bool, error) {
		_, err := e.client.CoreV1().PersistentVolumeClaims("default").Get(e.Context(), "shared", metav1.GetOptions{})
		volumes, lerr := e.client.CoreV1().PersistentVolumes().List(e.Context(), metav1.ListOptions{})
		left := lerr != nil || slices.ContainsFunc(volumes.Items, func(v corev1.PersistentVolume) bool { return v.Spec.ClaimRef.Name == "shared" })
		return apierrors.IsNotFound(err) && !left, lerr
	})
	e.claim("shared", "1Mi", nil)
	e.pod("again", func(p *corev1.Pod) { mountClaim(p, "shared", "/data") })
	e.want("", "again", "ls /data")
}

func testSizes(e *execer) {
	e.claim("small", "3Mi", nil)
	e.claim("huge", "1Ti", nil)
	e.claim("asked", "1Ti", map[string]string{volumeSize: "5Mi"})
	e.claim("wrong", "1Mi", map[string]string{volumeSize: "big"})
	e.pod("sizes", func(p *corev1.Pod) {
		mountClaim(p, "small", "/small")
		mountClaim(p, "huge", "/huge")
		mountClaim(p, "asked", "/asked")
	})
	e.want("3072 /small\n65536 /huge\n5120 /asked\n", "sizes", `df -kP /small /huge /asked | awk 'NR > 1 {print $2, $6}'`)
	e.want("", "sizes", "fallocate -l 2M /small/x")
	e.refused("sizes", "fallocate -l 2M /small/y")
	r := e.sh("sizes", "dd if=/dev/zero of=/asked/x bs=1M")
	if r.Code == 0 || !strings.Contains(r.Stderr, "No space left on device") {
		e.Errorf("got %+v, want that the volume is full", r)
	}
	e.want("100%\n", "sizes", `df -kP /asked | awk 'NR > 1 {print $5}'`)
	e.want("", "sizes", "rm /asked/x; fallocate -l 4M /asked/x")
	e.pod("wrong", func(p *corev1.Pod) { mountClaim(p, "wrong", "/x") })
	var stderr bytes.Buffer
	err := e.stream("wrong", &corev1.PodExecOptions{Container: "main", Command: []string{"true"}}, remotecommand.StreamOptions{Stderr: &stderr})
	if err == nil || !strings.Contains(err.Error(), `annotation sandbox/volume-size is "big", want a size such as 32Mi`) {
		e.Errorf("got %v", err)
	}
}

// What a command leaves in a volume must not lead a later mount out of it.
func testLinks(e *execer) {
	e.claim("trap", "1Mi", nil)
	e.pod("trapper", func(p *corev1.Pod) { mountClaim(p, "trap", "/data") })
	e.want("", "trapper", "ln -s / /data/root; ln -s ../../../.. /data/up; ln -s real /data/inside; mkdir /data/real; touch /data/real/here; mkfifo /data/pipe")
	for i, sub := range []string{"root/etc", "up/etc", "root"} {
		name := fmt.Sprintf("trapped-%d", i)
		e.pod(name, func(p *corev1.Pod) { mountClaim(p, "trap", "/data").SubPath = sub })
		err := e.stream(name, &corev1.PodExecOptions{Container: "main", Command: []string{"ls", "/data"}}, remotecommand.StreamOptions{Stdout: io.Discard})
		if err == nil || !strings.Contains(err.Error(), "escapes") {
			e.Errorf("subPath %q: got %v, want that it escapes", sub, err)
		}
	}
	e.pod("inside", func(p *corev1.Pod) { mountClaim(p, "trap", "/data").SubPath = "inside" })
	e.want("here\n", "inside", "ls /data")
	e.pod("pipe", func(p *corev1.Pod) { mountClaim(p, "trap", "/data").SubPath = "pipe" })
	e.want("", "pipe", "test -p /data")
}
