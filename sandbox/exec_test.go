package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

func TestExec(t *testing.T) {
	s := launch(t, "sandbox")
	s.waitReady(t)
	root := newExecer(t, s)
	for name, test := range map[string]func(*execer){
		"streams":    testStreams,
		"isolation":  func(e *execer) { testIsolation(e, s) },
		"rights":     testRights,
		"volumes":    testVolumes,
		"sizes":      testSizes,
		"links":      testLinks,
		"processes":  testProcesses,
		"neighbours": testNeighbours,
		"networks":   testNetworks,
		"doors":      testDoors,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(&execer{t, root.client, root.config})
		})
	}
}

func testStreams(e *execer) {
	if r := e.sh("probe", "echo out; echo err >&2; exit 3"); (r != result{"out\n", "err\n", 3}) {
		e.Errorf("got %+v", r)
	}
	if r := e.run("probe", "python3"); r.Code != 127 || !strings.Contains(r.Stderr, `command "python3" not found`) {
		e.Errorf("a command that is not on the list: got %+v", r)
	}
	if r := e.run("probe", "/etc/passwd"); r.Code != 126 || !strings.Contains(r.Stderr, "not executable") {
		e.Errorf("a file that is no command: got %+v", r)
	}
	e.want("137\n", "probe", "sh -c 'kill -9 $$'; echo $?")

	// 20 MB each way, and the end of the input is seen.
	input := bytes.Repeat([]byte("0123456789abcdef\n"), 1_200_000)
	var stdout bytes.Buffer
	err := e.stream("probe", &corev1.PodExecOptions{Container: "main", Command: []string{"cat"}},
		remotecommand.StreamOptions{Stdin: bytes.NewReader(input), Stdout: &stdout})
	if err != nil || !bytes.Equal(stdout.Bytes(), input) {
		e.Errorf("got %d bytes back, %v, want %d", stdout.Len(), err, len(input))
	}

	// The last words of a command whose output another process still holds open.
	e.want("last words\n", "probe", "setsid sleep 3600 & echo last words")

	stdout.Reset()
	err = e.stream("probe", &corev1.PodExecOptions{Container: "main", Command: []string{"sh", "-c", "test -t 0 && stty size; read word; echo got $word"}},
		remotecommand.StreamOptions{Stdin: strings.NewReader("typed\n"), Stdout: &stdout, Tty: true, TerminalSizeQueue: &oneSize{size: &remotecommand.TerminalSize{Width: 71, Height: 17}}})
	if got := strings.ReplaceAll(stdout.String(), "\r\n", "\n"); err != nil || !strings.HasSuffix(got, "got typed\n") {
		e.Errorf("with a terminal: got %q, %v", got, err)
	}
}

type oneSize struct{ size *remotecommand.TerminalSize }

func (q *oneSize) Next() *remotecommand.TerminalSize {
	s := q.size
	q.size = nil
	return s
}

// What is tried here would succeed in a pod of a real node.
func testIsolation(e *execer, s *sandbox) {
	e.pod("powerful", powerful)
	secret := filepath.Join(e.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o666); err != nil {
		e.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(secret), 0o777); err != nil {
		e.Fatal(err)
	}
	us := strconv.Itoa(os.Getpid())
	port := e.config.Host[strings.LastIndex(e.config.Host, ":")+1:]
	for _, p := range []string{"probe", "powerful"} {
		e.want("", p, `for f in "$1" "/host$1"; do if test -e "$f"; then echo "$f"; fi; done`, secret)
		e.refused(p, `rm "$1"`, secret)
		e.refused(p, "rm /usr/bin/sh")
		e.refused(p, "touch /usr/bin/x || touch /usr/lib/x || touch /host/usr/lib/x")
		e.refused(p, "echo h >/proc/sysrq-trigger")
		e.refused(p, "echo 0 >/proc/sys/vm/overcommit_memory")
		// Neither the test nor the sandbox is there: our numbers are nothing or another's.
		e.want("", p, `for f in /proc/[0-9]*/cmdline /machine-proc/[0-9]*/cmdline; do tr '\0' ' ' <"$f" 2>/dev/null | grep -e '[-]-with-parent' -e '[-]test.run'; done; true`)
		e.want("0\n", p, `ls -d /proc/[0-9]* | grep -c -x "/proc/$1" || true`, us+"9999")
		e.refused(p, `bash -c "exec 3<>/dev/tcp/127.0.0.1/$1"`, port)
		e.refused(p, "test -e /dev/sda -o -e /dev/vda -o -e /dev/kmsg -o -e /dev/mem")
	}
	if _, err := os.Stat(secret); err != nil {
		e.Error(err)
	}
	// The most powerful pod kills all that it sees. The sandbox is not among it.
	e.pod("killer", func(p *corev1.Pod) { powerful(p); p.Spec.NodeName = "worker-2" })
	if r := e.sh("killer", "sleep 0.5; kill -9 -1"); r.Code != 0 && r.Code != 137 {
		e.Errorf("kill -9 -1: got %+v", r)
	}
	eventually(e.T, "the pod comes back", func() (bool, error) {
		r := e.sh("killer", "echo here")
		return r.Stdout == "here\n", fmt.Errorf("got %+v", r)
	})
	if s.cmd.ProcessState != nil {
		e.Error("the sandbox has ended")
	}
	for _, p := range []string{"probe", "powerful"} {
		if r := e.sh(p, "id -u"); r.Stdout != "0\n" {
			e.Errorf("in %q: got %+v", p, r)
		}
	}
}

func testRights(e *execer) {
	e.pod("plain", func(p *corev1.Pod) { p.Spec.HostPID = true })
	e.pod("network-admin", func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Capabilities: &corev1.Capabilities{
			Drop: []corev1.Capability{"ALL"}, Add: []corev1.Capability{"NET_ADMIN"}}}
	})
	e.refused("plain", "nsenter --target 1 --net true")
	e.refused("network-admin", "chroot / true")
	e.needs("ip")
	e.refused("plain", "ip link set lo down")
	e.want("", "network-admin", "ip link set lo down")
}

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

func testProcesses(e *execer) {
	for name, change := range map[string]func(*corev1.Pod){
		"own-pids":  func(*corev1.Pod) {},
		"host-pids": powerful,
	} {
		e.pod(name, change)
		word := strconv.Itoa(os.Getpid()) + strconv.Itoa(len(name)) + "0000"
		// In a session of its own, or just left: both go on, and their children too.
		e.want("", name, `setsid sh -c 'sleep "$1"; :' sh "$1" </dev/null >/dev/null 2>&1 &
			nohup sleep "$1" </dev/null >/dev/null 2>&1 &`, word)
		eventually(e.T, "three processes go on", func() (bool, error) {
			got := survivors(e.T, word)
			sleeping := slices.DeleteFunc(slices.Clone(got), func(args string) bool { return !strings.HasPrefix(args, "sleep ") })
			return len(got) == 3 && len(sleeping) == 2, fmt.Errorf("%s: got %q", name, got)
		})
		e.delete(name)
		awaitNoSurvivors(e.T, word)
	}

	// Whose client goes is killed, with its group.
	e.pod("left", func(*corev1.Pod) {})
	word := strconv.Itoa(os.Getpid()) + "110000"
	ctx, cancel := context.WithCancel(e.Context())
	left := &execer{e.T, e.client, e.config}
	done := make(chan error, 1)
	go func() {
		executor, err := remotecommand.NewSPDYExecutor(e.config, http.MethodPost, left.client.CoreV1().RESTClient().Post().Resource("pods").
			Namespace("default").Name("left").SubResource("exec").
			VersionedParams(&corev1.PodExecOptions{Container: "main", Command: []string{"sh", "-c", "sleep " + word + " & sleep " + word + "; :"}, Stdout: true}, scheme.ParameterCodec).URL())
		if err == nil {
			err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: io.Discard})
		}
		done <- err
	}()
	eventually(e.T, "it runs", func() (bool, error) { return len(survivors(e.T, word)) == 2, nil })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		e.Errorf("got %v", err)
	}
	awaitNoSurvivors(e.T, word)

	// Who waits for a command in a pod that goes is told that it was killed.
	go func() {
		eventually(e.T, "it runs", func() (bool, error) { return len(survivors(e.T, word)) > 0, nil })
		e.delete("left")
	}()
	if r := e.run("left", "sleep", word); r.Code != 137 {
		e.Errorf("in a pod that went: got %+v, want code 137", r)
	}
	awaitNoSurvivors(e.T, word)

	// A pod that finishes ends what runs in it.
	e.pod("finishes", func(p *corev1.Pod) { p.Annotations = map[string]string{completeAfter: "3s"} })
	if r := e.run("finishes", "sleep", word); r.Code != 137 {
		e.Errorf("in a pod that finished: got %+v, want code 137", r)
	}
}

func testNeighbours(e *execer) {
	e.pod("target", func(*corev1.Pod) {})
	e.pod("target-2", func(*corev1.Pod) {})
	e.pod("elsewhere", func(p *corev1.Pod) { p.Spec.NodeName = "worker-2" })
	e.pod("helper", powerful)
	uid := string(get(e.T, e.client, "target").UID)
	e.want(uid+"\n", "helper", "chroot /host crictl pods --quiet --name target --namespace default")
	e.want("", "helper", "chroot /host crictl pods -q --name elsewhere")
	e.want("", "helper", "chroot /host crictl pods -q --name target --namespace other")
	e.want(uid+"\n", "helper", `chroot /host crictl ps -q --pod "$1"`, uid)
	e.refused("helper", `chroot /host crictl inspectp no-such-pod`)
	e.refused("helper", `chroot /host crictl inspectp ../..`)
	e.refused("helper", `chroot /host crictl stop "$1"`, uid)
	e.refused("helper", `chroot /host crictl inspectp --output yaml "$1"`, uid)
	r := e.sh("helper", `chroot /host crictl inspectp -o json "$1"`, uid)
	var seen struct {
		Info struct {
			PID int `json:"pid"`
		} `json:"info"`
		Status struct {
			Metadata struct{ Name, Namespace, UID string } `json:"metadata"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(r.Stdout), &seen); err != nil || seen.Info.PID < 2 || seen.Status.Metadata.UID != uid || seen.Status.Metadata.Name != "target" {
		e.Errorf("got %+v, %v", r, err)
	}
	e.want(fmt.Sprintf("%d\n", seen.Info.PID), "helper", `chroot /host crictl inspect -o go-template --template '{{.info.pid}}' "$1"`, uid)
	// The number is that of the node's processes, and leads to the pod.
	e.want("target\n", "helper", `nsenter --target "$1" --uts hostname`, strconv.Itoa(seen.Info.PID))
	// What the stub knows ends with the pod.
	e.delete("target")
	eventually(e.T, "the pod is forgotten", func() (bool, error) {
		r := e.sh("helper", "chroot /host crictl pods -q --name target")
		return r.Code == 0 && r.Stdout == "", fmt.Errorf("got %+v", r)
	})
	// A cgroup tree is what a test makes of it.
	e.want("", "helper", "mkdir -p /host/sys/fs/cgroup/kubepods; echo '8:0 rbps=max' >/host/sys/fs/cgroup/kubepods/io.max")
	e.pod("cgroups", func(p *corev1.Pod) {
		mount(p, "cgroup", "/sys/fs/cgroup", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/sys/fs/cgroup"}})
	})
	e.want("8:0 rbps=max\n", "cgroups", "cat /sys/fs/cgroup/kubepods/io.max")
}

func testNetworks(e *execer) {
	e.needs("ip")
	host := func(p *corev1.Pod) { powerful(p) }
	e.pod("first", host)
	e.pod("own", func(p *corev1.Pod) { powerful(p); p.Spec.HostNetwork = false })
	for _, p := range []string{"first", "own"} {
		e.want("eth0\n", p, `ip route show default | awk '{print $5}'`)
		e.want("", p, "ip link add mine type veth peer name yours")
	}
	own := get(e.T, e.client, "own")
	e.want(own.Status.PodIP+"\n", "own", `ip -4 -br address show eth0 | awk '{sub("/.*", "", $3); print $3}'`)
	e.delete("first")
	e.pod("second", host)
	e.want("", "second", "ip link show mine >/dev/null")
	e.want("", "second", `ip link show "veth$1" >/dev/null`, strings.ReplaceAll(string(own.UID), "-", "")[:8])
	e.pod("other-node", func(p *corev1.Pod) { host(p); p.Spec.NodeName = "worker-2" })
	e.refused("other-node", "ip link show mine")
	// A pod's network goes with it, also what of it is on the node.
	e.delete("own")
	eventually(e.T, "its interface is gone", func() (bool, error) {
		r := e.sh("second", `ip link show "veth$1"`, strings.ReplaceAll(string(own.UID), "-", "")[:8])
		return r.Code == 1, fmt.Errorf("got %+v", r)
	})
	machine, err := net.Interfaces()
	if err != nil {
		e.Fatal(err)
	}
	if slices.ContainsFunc(machine, func(i net.Interface) bool { return i.Name == "mine" || i.Name == "uplink" }) {
		e.Error("the machine's own network was changed")
	}
	if r := e.sh("second", "iptables -S"); r.Code == 127 {
		e.Skip("SKIPPED, RULES WERE NOT TESTED: this machine has no iptables")
	}
	e.want("", "second", "iptables -A INPUT -p tcp --dport 81 -m comment --comment ebb -j DROP")
	e.delete("second")
	e.pod("third", host)
	e.want("1\n", "third", "iptables -S INPUT | grep -c -- '--comment ebb'")
	e.want("0\n", "other-node", "iptables -S INPUT | grep -c -- '--comment ebb' || true")
	if r := e.sh("third", "tc qdisc add dev eth0 root handle 1: htb default 1"); r.Code != 0 {
		e.Skipf("SKIPPED, QDISCS WERE NOT TESTED: %+v", r)
	}
	e.want("qdisc htb 1: root\n", "third", "tc qdisc show dev eth0 | cut -d ' ' -f 1-4")
}

// The nodes' server answers nobody but the API server and the administrator.
func testDoors(e *execer) {
	node, err := e.client.CoreV1().Nodes().Get(e.Context(), "worker-1", metav1.GetOptions{})
	if err != nil {
		e.Fatal(err)
	}
	address := fmt.Sprintf("https://127.0.0.1:%d", node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(e.config.CAData)
	admin, err := tls.X509KeyPair(e.config.CertData, e.config.KeyData)
	if err != nil {
		e.Fatal(err)
	}
	ask := func(path string, certificates ...tls.Certificate) (int, string, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates}}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport, Timeout: patience}).Post(address+path, "", nil)
		if err != nil {
			return 0, "", err
		}
		body, err := io.ReadAll(response.Body)
		return response.StatusCode, string(body), errors.Join(err, response.Body.Close())
	}
	for _, path := range []string{"/run/worker-1?command=true", "/exec/default/probe/main?command=true&output=1"} {
		if code, body, err := ask(path); err == nil {
			e.Errorf("%s without a certificate: got %d %q, want no connection", path, code, body)
		}
	}
	if code, body, err := ask("/exec/default/probe/main?command=true&output=1", admin); err != nil || code != http.StatusForbidden {
		e.Errorf("exec past the API server: got %d %q, %v, want 403", code, body, err)
	}
	query := url.Values{"command": {"sh", "-c", "hostname; test -d /host/var && chroot /host true; exit 3"}}.Encode()
	if code, body, err := ask("/run/worker-1?"+query, admin); err != nil || code != http.StatusOK || body != `{"stdout":"worker-1\n","stderr":"","code":3}`+"\n" {
		e.Errorf("a look at the node: got %d %q, %v", code, body, err)
	}
	if code, body, err := ask("/run/worker-9?command=true", admin); err != nil || code != http.StatusNotFound {
		e.Errorf("a node that is not there: got %d %q, %v, want 404", code, body, err)
	}
}

// However the sandbox ends, what its pods ran and mounted is gone.
func TestExecLeavesNothing(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mountsBefore, err := os.ReadFile("/proc/self/mountinfo")
			if err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(t.TempDir(), "data")
			s := launch(t, "sandbox", "--data", data)
			s.waitReady(t)
			e := newExecer(t, s)
			e.pod("helper", powerful)
			e.claim("data", "1Mi", nil)
			e.pod("a", func(p *corev1.Pod) { mountClaim(p, "data", "/data") })
			word := strconv.Itoa(os.Getpid()) + strconv.Itoa(int(signal)) + "220000"
			e.want("", "helper", `setsid sleep "$1" </dev/null >/dev/null 2>&1 &`, word)
			e.want("", "a", `echo x >/data/x; setsid sleep "$1" </dev/null >/dev/null 2>&1 &`, word)
			// One that is waited for: its API server goes with all the rest.
			waited := make(chan error, 1)
			go func() {
				waited <- e.stream("a", &corev1.PodExecOptions{Container: "main", Command: []string{"sleep", word}}, remotecommand.StreamOptions{Stdout: io.Discard})
			}()
			eventually(t, "all run", func() (bool, error) { return len(survivors(t, word)) == 3, nil })
			inits := survivors(t, "ebb-sandbox-init")
			if len(inits) == 0 {
				t.Error("no container's process is seen: the test would not see one that is left")
			}
			began := time.Now()
			s.end(t, signal)
			if took := time.Since(began); took > stopLimit {
				t.Errorf("it took %v to end, so long as if the API server had waited for the command", took)
			}
			// client-go takes the end of the connection for that of the command.
			if err := <-waited; err != nil {
				t.Logf("the command that was waited for: %v", err)
			}
			awaitNoSurvivors(t, word)
			mounts, err := os.ReadFile("/proc/self/mountinfo")
			if err != nil || !bytes.Equal(mounts, mountsBefore) {
				t.Errorf("mounts are\n%s\nbefore\n%s (%v)", mounts, mountsBefore, err)
			}

			// The kept cluster works on, with nodes and claims that start empty.
			again := launch(t, "sandbox", "--data", data)
			again.waitReady(t)
			_, config, err := dial(again.kubeconfig)
			if err != nil {
				t.Fatal(err)
			}
			client := again.client(t)
			after := &execer{t, client, config}
			after.want("", "a", "ls /data")
			if code := again.end(t, syscall.SIGTERM); code != exitDone {
				t.Errorf("exit code %d, want %d; stderr: %s", code, exitDone, again.stderr)
			}
			if got := again.stderr.String(); got != "" {
				t.Errorf("stderr is %q, want nothing", got)
			}
		})
	}
}
