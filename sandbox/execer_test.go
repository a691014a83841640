package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
)

// An execer runs commands in the containers of one sandbox.
type execer struct {
	*testing.T
	client *kubernetes.Clientset
	config *rest.Config
}

func newExecer(t *testing.T, s *sandbox) *execer {
	t.Helper()
	client, config, err := dial(s.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	e := &execer{t, client, config}
	e.pod("probe", func(*corev1.Pod) {})
	if r := e.run("probe", "true"); r.Code == 126 {
		t.Skipf("SKIPPED, NOTHING WAS TESTED: %s", r.Stderr)
	}
	return e
}

// pod makes a pod and waits until commands can be run in it.
func (e *execer) pod(name string, change func(*corev1.Pod)) *corev1.Pod {
	e.Helper()
	create(e.T, e.client, pod(name, func(p *corev1.Pod) {
		p.Spec.NodeName = "worker-1"
		change(p)
	}))
	return awaitPhase(e.T, e.client, name, corev1.PodRunning)
}

func (e *execer) delete(name string) {
	e.Helper()
	if err := e.client.CoreV1().Pods("default").Delete(e.Context(), name, metav1.DeleteOptions{}); err != nil {
		e.Fatal(err)
	}
	awaitGone(e.T, e.client, name)
}

func (e *execer) stream(name string, o *corev1.PodExecOptions, s remotecommand.StreamOptions) error {
	o.Stdin, o.Stdout, o.Stderr, o.TTY = s.Stdin != nil, s.Stdout != nil, s.Stderr != nil, s.Tty
	target := e.client.CoreV1().RESTClient().Post().Resource("pods").Namespace("default").Name(name).SubResource("exec").
		VersionedParams(o, scheme.ParameterCodec).URL()
	executor, err := remotecommand.NewSPDYExecutor(e.config, http.MethodPost, target)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	return executor.StreamWithContext(ctx, s)
}

func (e *execer) run(name string, command ...string) result {
	e.Helper()
	var stdout, stderr bytes.Buffer
	err := e.stream(name, &corev1.PodExecOptions{Container: "main", Command: command}, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	r := result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit utilexec.ExitError
	if errors.As(err, &exit) {
		r.Code = exit.ExitStatus()
	} else if err != nil {
		e.Fatalf("%q in %q: %v", command, name, err)
	}
	return r
}

func (e *execer) sh(name, script string, args ...string) result {
	e.Helper()
	return e.run(name, append([]string{"sh", "-c", script, "sh"}, args...)...)
}

// want runs a script that has to succeed, and compares its output.
func (e *execer) want(want, name, script string, args ...string) {
	e.Helper()
	if r := e.sh(name, script, args...); r.Code != 0 || r.Stdout != want {
		e.Errorf("in %q: %s: got %+v, want %q", name, script, r, want)
	}
}

func (e *execer) refused(name, script string, args ...string) {
	e.Helper()
	if r := e.sh(name, script, args...); r.Code == 0 {
		e.Errorf("in %q: %s: got %+v, want a failure", name, script, r)
	}
}

// powerful is a pod that could do anything on a real node.
func powerful(p *corev1.Pod) {
	privileged := true
	p.Spec.HostNetwork, p.Spec.HostPID, p.Spec.HostIPC = true, true, true
	p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &privileged}
	mount(p, "host", "/host", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}})
	mount(p, "proc", "/machine-proc", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/proc"}})
}

func mount(p *corev1.Pod, name, path string, source corev1.VolumeSource) *corev1.VolumeMount {
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: source})
	c := &p.Spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: path})
	return &c.VolumeMounts[len(c.VolumeMounts)-1]
}

func mountClaim(p *corev1.Pod, claim, path string) *corev1.VolumeMount {
	return mount(p, claim, path, corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}})
}

func (e *execer) claim(name, request string, annotations map[string]string) {
	e.Helper()
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(request)}},
		},
	}
	if _, err := e.client.CoreV1().PersistentVolumeClaims("default").Create(e.Context(), claim, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	eventually(e.T, "the claim is bound", func() (bool, error) {
		c, err := e.client.CoreV1().PersistentVolumeClaims("default").Get(e.Context(), name, metav1.GetOptions{})
		return err == nil && c.Status.Phase == corev1.ClaimBound, err
	})
}

// needs skips a test that nothing would be tested in.
func (e *execer) needs(command string) {
	e.Helper()
	if r := e.run("probe", command, "-V"); r.Code == 127 {
		e.Skipf("SKIPPED, NOTHING WAS TESTED: this machine has no %q", command)
	}
}

// survivors are the processes of this machine with that word among their arguments.
func survivors(t *testing.T, word string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // it has just ended
		}
		if args := strings.Split(string(content), "\x00"); slices.Contains(args, word) {
			found = append(found, strings.Join(args, " "))
		}
	}
	return found
}

func awaitNoSurvivors(t *testing.T, word string) {
	t.Helper()
	eventually(t, "no process is left", func() (bool, error) {
		left := survivors(t, word)
		return len(left) == 0, fmt.Errorf("left are %q", left)
	})
}
