package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

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
	// It has a node to itself: the pods of other tests would die with it.
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "killed"}}
	if _, err := e.client.CoreV1().Nodes().Create(e.Context(), node, metav1.CreateOptions{}); err != nil {
		e.Fatal(err)
	}
	e.pod("killer", func(p *corev1.Pod) { powerful(p); p.Spec.NodeName = node.Name })
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
