package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// podRun is a container of a manifest's pod.
type podRun struct {
	*container
	output *bytes.Buffer
}

func (p *podRun) kill(t *testing.T, signal string) {
	t.Helper()
	if out, err := p.runc("kill", p.id, signal).CombinedOutput(); err != nil {
		t.Fatalf("runc kill: %v: %s", err, out)
	}
}

// pod runs the container of a manifest as a kubelet would, with other arguments if there are any.
func (d *deployed) pod(manifest, name string, args ...string) (*podRun, chan error) {
	d.Helper()
	template := d.template(manifest, name)
	spec := template["containers"].([]any)[0].(kube.Object)
	security := template["securityContext"].(kube.Object)
	d.started++
	c := &container{
		dir: d.TempDir(), uid: security["runAsUser"].(int), gid: security["runAsGroup"].(int),
		id: fmt.Sprintf("%s-%d-%s", name, d.started, strings.TrimPrefix(d.namespace, "test-")),
	}
	root := filepath.Join(c.dir, "root")
	for _, dir := range []string{"", "proc", "dev"} {
		d.check(os.Mkdir(filepath.Join(root, dir), 0o755))
	}
	d.check(copyFile(filepath.Join(root, "ebb"), d.binary))
	d.check(os.Chmod(filepath.Join(root, "ebb"), 0o755))
	mounts := d.volumes(c, template, spec)
	if len(args) == 0 {
		for _, arg := range spec["args"].([]any) {
			args = append(args, strings.Replace(arg.(string), ":9090", "127.0.0.1:0", 1)) // it is in the node's network
		}
	}
	server, err := url.Parse(d.config.Host)
	d.check(err)
	c.alter = func(s map[string]any) {
		s["mounts"] = append(s["mounts"].([]any)[:2], mounts...)
		process := s["process"].(map[string]any)
		process["cwd"] = "/"
		if dir, ok := spec["workingDir"].(string); ok {
			process["cwd"] = dir
		}
		process["env"] = []string{
			"PATH=/", "HOME=/tmp", deployTimes, requestTimeVariable + "=" + requestTime.String(),
			"KUBERNETES_SERVICE_HOST=" + server.Hostname(), "KUBERNETES_SERVICE_PORT=" + server.Port(),
		}
		if group, ok := security["fsGroup"].(int); ok {
			process["user"].(map[string]any)["additionalGids"] = []int{group}
		}
	}
	d.Cleanup(func() { _ = c.runc("delete", "--force", c.id).Run() }) // it is over, unless the test failed
	output, ended := c.start(d.T, args...)
	return &podRun{c, output}, ended
}

// template finds the pod of a manifest.
func (d *deployed) template(manifest, name string) kube.Object {
	d.Helper()
	for _, object := range documents(d.T, "../../deploy/"+manifest) {
		if kube.Meta(object).GetName() != name {
			continue
		}
		for _, path := range [][]string{{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}} {
			if found, ok := walk(object, path).(kube.Object); ok {
				return found
			}
		}
	}
	d.Fatalf("deploy/%s has no pod %s", manifest, name)
	return nil
}

// volumes makes what a pod mounts: of ConfigMaps and Secrets what the cluster has, and its account.
func (d *deployed) volumes(c *container, template, spec kube.Object) (mounts []any) {
	d.Helper()
	namespace := map[string]string{"ebb-runner": "ebb-run", "ebb-replayer": "ebb"}[template["serviceAccountName"].(string)]
	group := -1
	if fsGroup, ok := walk(template, []string{"securityContext", "fsGroup"}).(int); ok {
		group = fsGroup
	}
	bind := func(source, where string) {
		mounts = append(mounts, map[string]any{"destination": where, "type": "bind", "source": source, "options": []string{"rbind", "ro"}})
	}
	for i, mount := range spec["volumeMounts"].([]any) {
		name, where := mount.(kube.Object)["name"], mount.(kube.Object)["mountPath"].(string)
		at := slices.IndexFunc(template["volumes"].([]any), func(v any) bool { return v.(kube.Object)["name"] == name })
		volume := template["volumes"].([]any)[at].(kube.Object)
		dir := filepath.Join(c.dir, fmt.Sprint("volume-", i))
		if volume["emptyDir"] != nil {
			d.check(os.Mkdir(filepath.Join(c.dir, "root", where), 0o777))
			d.check(os.Chmod(filepath.Join(c.dir, "root", where), 0o777))
			mounts = append(mounts, map[string]any{"destination": where, "type": "tmpfs", "source": "tmpfs", "options": []string{"mode=0777"}})
			continue
		}
		mode := os.FileMode(0o644)
		if text, ok := walk(volume, []string{"secret", "defaultMode"}).(int); ok {
			mode = os.FileMode(text)
		}
		d.files(dir, d.content(namespace, volume), mode, group)
		bind(dir, where)
	}
	account := filepath.Join(c.dir, "account")
	token, err := d.admin.CoreV1().ServiceAccounts(namespace).CreateToken(d.Context(), template["serviceAccountName"].(string), &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	d.check(err)
	d.files(account, map[string]string{"token": token.Status.Token, "ca.crt": string(d.authority()), "namespace": namespace}, 0o644, -1)
	bind(account, "/var/run/secrets/kubernetes.io/serviceaccount")
	return mounts
}

func (d *deployed) authority() []byte {
	if len(d.config.CAData) > 0 {
		return d.config.CAData
	}
	data, err := os.ReadFile(d.config.CAFile)
	d.check(err)
	return data
}

// content is what a ConfigMap or a Secret has.
func (d *deployed) content(namespace string, volume kube.Object) map[string]string {
	d.Helper()
	if name, ok := walk(volume, []string{"configMap", "name"}).(string); ok {
		found, err := d.admin.CoreV1().ConfigMaps(namespace).Get(d.Context(), name, metav1.GetOptions{})
		d.check(err)
		return found.Data
	}
	found, err := d.admin.CoreV1().Secrets(namespace).Get(d.Context(), walk(volume, []string{"secret", "secretName"}).(string), metav1.GetOptions{})
	d.check(err)
	data := map[string]string{}
	for key, value := range found.Data {
		data[key] = string(value)
	}
	return data
}

// files writes them as a kubelet does: root's, in a directory that a link leads to.
func (d *deployed) files(dir string, content map[string]string, mode os.FileMode, group int) {
	d.Helper()
	d.check(os.MkdirAll(filepath.Join(dir, "..version"), 0o755))
	err := os.Symlink("..version", filepath.Join(dir, "..data"))
	for name, text := range content {
		path := filepath.Join(dir, "..version", name)
		err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600), os.Chown(path, 0, group), os.Chmod(path, mode), os.Symlink("..data/"+name, filepath.Join(dir, name)))
	}
	d.check(err)
}
