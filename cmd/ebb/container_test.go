package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

// container is a pod's: of any user, with a root file system that it can't write to, without
// capabilities, in which ebb is process 1.
type container struct {
	dir, id  string
	uid, gid int
	alter    func(spec map[string]any) // what else a pod says; may be nil
}

// spec is what a kubelet has a container runtime do, for a pod on its node's network.
func (c *container) spec(args ...string) map[string]any {
	mount := func(where, kind string, options ...string) map[string]any {
		return map[string]any{"destination": where, "type": kind, "source": kind, "options": options}
	}
	none := []string{}
	return map[string]any{
		"ociVersion": "1.0.2", "hostname": c.id,
		"process": map[string]any{
			"args": append([]string{"/ebb"}, args...), "cwd": "/config",
			"env":             []string{"PATH=/", "HOME=/tmp", "KUBERNETES_SERVICE_HOST=127.0.0.1"},
			"user":            map[string]any{"uid": c.uid, "gid": c.gid},
			"noNewPrivileges": true,
			"capabilities":    map[string]any{"bounding": none, "effective": none, "permitted": none, "inheritable": none, "ambient": none},
		},
		"root": map[string]any{"path": "root", "readonly": true},
		"mounts": []any{
			mount("/proc", "proc"), mount("/dev", "tmpfs", "mode=755"), mount("/tmp", "tmpfs", "mode=1777"), mount("/volume", "tmpfs", "mode=0777"),
			map[string]any{"destination": "/config", "type": "bind", "source": filepath.Join(c.dir, "config"), "options": []string{"rbind", "ro"}},
		},
		"linux": map[string]any{"namespaces": []any{
			map[string]any{"type": "pid"}, map[string]any{"type": "ipc"}, map[string]any{"type": "uts"}, map[string]any{"type": "mount"},
		}},
	}
}

// start starts it with a command of ebb's.
func (c *container) start(t *testing.T, args ...string) (output *bytes.Buffer, ended chan error) {
	t.Helper()
	spec := c.spec(args...)
	if c.alter != nil {
		c.alter(spec)
	}
	data, err := json.Marshal(spec)
	if err == nil {
		err = os.WriteFile(filepath.Join(c.dir, "config.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	output, ended = &bytes.Buffer{}, make(chan error, 1)
	cmd := c.runc("run", c.id)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	return output, ended
}

func (c *container) runc(args ...string) *exec.Cmd {
	cmd := exec.Command("runc", append([]string{"--root", filepath.Join(c.dir, "state")}, args...)...)
	cmd.Dir = c.dir
	return cmd
}

// checkContainers: as a pod's containers are, ebb runs a scenario as process 1, and undoes it when the
// pod is asked to end.
func checkContainers(t *testing.T, image string) {
	if os.Geteuid() != 0 {
		t.Skip("NO CONTAINER WAS RUN: ONLY ROOT CAN")
	}
	if !sandboxtest.Install("runc", "runc") {
		t.Skip("NO CONTAINER WAS RUN: THE MACHINE HAS NO runc, AND IT CAN'T BE INSTALLED")
	}
	_, layer, _ := layoutOf(t, image)
	for _, user := range [][2]int{{65532, 65532}, {1000650000, 0}} {
		t.Run(fmt.Sprintf("%d:%d", user[0], user[1]), func(t *testing.T) {
			c := &container{dir: t.TempDir(), uid: user[0], gid: user[1]}
			c.alter = func(spec map[string]any) { // no user here has an entry in passwd: CRI-O then makes / the home
				if process := spec["process"].(map[string]any); c.gid == 0 {
					process["env"] = []string{"PATH=/", "HOME=/", "KUBERNETES_SERVICE_HOST=127.0.0.1"}
				}
			}
			c.id = "ebb-test-" + filepath.Base(filepath.Dir(c.dir)) + "-" + filepath.Base(c.dir)
			root := filepath.Join(c.dir, "root")
			for _, dir := range []string{root, filepath.Join(root, "proc"), filepath.Join(root, "dev"), filepath.Join(root, "config"), filepath.Join(root, "volume"), filepath.Join(c.dir, "config")} {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(filepath.Join(root, "volume"), 0o777); err != nil { // runc gives a mount its mode
				t.Fatal(err)
			}
			unpack(t, layer, root)
			if output, ended := c.start(t, "version"); !started(t, c, output, <-ended) {
				return
			}
			c.chaos(t)
		})
	}
}

// started skips a test where the machine takes no containers.
func started(t *testing.T, c *container, output *bytes.Buffer, err error) bool {
	t.Helper()
	if err == nil && strings.HasPrefix(output.String(), "ebb "+version) {
		return true
	}
	if strings.Contains(output.String(), "runc") || strings.Contains(output.String(), "container") {
		t.Skipf("NO CONTAINER WAS RUN: THE MACHINE'S runc SAYS: %v: %s", err, output)
	}
	t.Errorf("ebb version: %v: %s", err, output)
	return false
}

// chaos runs a scenario there, and asks the container to end.
func (c *container) chaos(t *testing.T) {
	namespace := sandboxtest.Namespace(t)
	script, err := os.ReadFile("../../testdata/script/steps.star")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := os.ReadFile(sandboxtest.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"kubeconfig": string(kubeconfig), "scripts/steps.star": string(script),
		"steps.yaml":  fmt.Sprintf("{namespace: %s, steps: [one, two], duration: 600}\n", namespace),
		"config.yaml": "kraken: {kubeconfig_path: /config/kubeconfig, rollback_versions_directory: /volume, scenario_scripts_directory: scripts, chaos_scenarios: [steps_scenarios: [steps.yaml]]}\n",
	} {
		path := filepath.Join(c.dir, "config", name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err == nil && strings.HasPrefix(name, "scripts/") { // scripts are its user's own
			err = errors.Join(os.Chown(path, c.uid, c.gid), os.Chown(filepath.Dir(path), c.uid, c.gid))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", sandboxtest.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	made := func() int {
		found, err := client.Resource(kinds["configmaps"]).Namespace(namespace).List(context.Background(), metav1.ListOptions{LabelSelector: kube.RunLabel})
		if err != nil {
			t.Error(err)
			return -1
		}
		return len(found.Items)
	}
	output, ended := c.start(t, "run", "--config", "config.yaml")
	t.Cleanup(func() {
		if out, err := c.runc("delete", "--force", c.id).CombinedOutput(); err != nil {
			t.Logf("runc delete: %v: %s", err, out)
		}
	})
	over := false
	if !eventually(func() bool {
		select {
		case err := <-ended:
			over = true
			t.Errorf("it ended: %v", err)
		default:
		}
		return over || made() == 2
	}) || over {
		t.Fatalf("no chaos: %s", output)
	}
	if out, err := c.runc("kill", c.id, "TERM").CombinedOutput(); err != nil {
		t.Fatalf("runc kill: %v: %s", err, out)
	}
	got, left := codeOf(<-ended), made()
	if got != "130" || left != 0 {
		t.Errorf("got exit code %s, and %d of its config maps, want 130 and none; it said:\n%s", got, left, output)
	}
	if !strings.Contains(output.String(), "which others in this pod can write to") {
		t.Errorf("it says nothing about its volume:\n%s", output)
	}
}
