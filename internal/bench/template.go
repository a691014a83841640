package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ebb-chaos/ebb/versions"
)

// template is what a real run left behind: its version files, and the objects that they undo. It is
// copied under other names as often as a row wants.
type template struct {
	runUUID   string
	namespace string
	files     []versionFile // oldest first
	objects   []templateObject
	names     []string // each copy has its own
}

type versionFile struct {
	scenarioType string
	content      []byte
}

type templateObject struct {
	kind   schema.GroupVersionResource
	object map[string]any
	uid    string
}

// scenario is a run to make a template of.
type scenario struct {
	kind    string
	yaml    string // %s is the namespace
	target  string // a service that is hijacked, "" for none
	count   int    // of objects, without a target
	names   *regexp.Regexp
	objects []schema.GroupVersionResource
}

var scenarios = map[string]scenario{
	"policy": {
		kind: "application_outages_scenarios", yaml: "application_outage: {namespace: %s, duration: 600}\n",
		count: 1, names: regexp.MustCompile(`krkn-deny-[a-z]{5}`), objects: []schema.GroupVersionResource{policies},
	},
	"hog": {
		kind: "hog_scenarios", yaml: "{hog-type: cpu, namespace: %s, workers: 1, duration: 600, number-of-nodes: 1}\n",
		count: 1, names: regexp.MustCompile(`cpu-hog-[a-z]{5}`), objects: []schema.GroupVersionResource{pods},
	},
	"hijack": {
		kind:   "service_hijacking_scenarios",
		yaml:   "{service_target_port: 8080, service_name: bench-target, service_namespace: %s, image: example.com/hijack:1, chaos_duration: 600, plan: [{resource: /, steps: {GET: [{duration: 1, status: 500}]}}]}\n",
		target: "bench-target", names: regexp.MustCompile(`service-hijacking-[a-z]{5}|bench-target`),
		objects: []schema.GroupVersionResource{services, configMaps, pods},
	},
}

// template runs a scenario once, kills it in mid-chaos, and takes what it left.
func (b *bench) template(ctx context.Context, name string) (*template, error) {
	if t := b.templates[name]; t != nil {
		return t, nil
	}
	s := scenarios[name]
	namespace, err := b.namespace(ctx)
	if err != nil {
		return nil, err
	}
	if s.target != "" {
		_, err := b.client.Resource(services).Namespace(namespace).Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": s.target},
			"spec": map[string]any{"selector": map[string]any{"app": "bench"}, "ports": []any{map[string]any{"port": int64(80), "targetPort": int64(8080)}}},
		}}, metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
	}
	dir := filepath.Join(b.dir, "template-"+name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	config := configText(b.kubeconfig, "versions") + fmt.Sprintf("  chaos_scenarios:\n    - %s: [scenario.yaml]\n", s.kind)
	for file, content := range map[string]string{"config.yaml": config, "scenario.yaml": fmt.Sprintf(s.yaml, namespace)} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	if err := b.killedRun(ctx, dir, func() (bool, error) { return b.inForce(ctx, namespace, s) }); err != nil {
		return nil, err
	}
	t, err := b.read(ctx, dir, namespace, s)
	if err == nil {
		b.templates[name] = t
	}
	return t, err
}

// inForce reports whether all objects of a scenario are there, and changed.
func (b *bench) inForce(ctx context.Context, namespace string, s scenario) (bool, error) {
	if s.target != "" {
		service, err := b.client.Resource(services).Namespace(namespace).Get(ctx, s.target, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		selector, _, err := unstructured.NestedStringMap(service.Object, "spec", "selector")
		return selector["app"] == "", err
	}
	list, err := b.client.Resource(s.objects[0]).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, err
	}
	return len(list.Items) == s.count, nil
}

// killedRun runs ebb in a directory and kills it once something is so.
func (b *bench) killedRun(ctx context.Context, dir string, so func() (bool, error)) error {
	cmd := exec.CommandContext(ctx, b.ebb, "run", "--config", "config.yaml")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ebb's worker is a process of its own
	log, err := os.Create(filepath.Join(dir, "run.log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // a log
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	err = poll(ctx, dir+": chaos in force", so)
	if killErr := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err == nil {
		err = killErr
	}
	_ = cmd.Wait() // it was killed
	return err
}

// configText is the beginning of a config.yaml.
func configText(kubeconfig, store string) string {
	return fmt.Sprintf("kraken:\n  kubeconfig_path: %s\n  rollback_versions_directory: %s\n", kubeconfig, store)
}

// read takes what a run has left.
func (b *bench) read(ctx context.Context, dir, namespace string, s scenario) (*template, error) {
	store, err := versions.NewDir(filepath.Join(dir, "versions"))
	if err != nil {
		return nil, err
	}
	listing, err := store.List(ctx, versions.Filter{PendingOnly: true})
	if err != nil {
		return nil, err
	}
	if len(listing.Executions) != 1 || len(listing.Executions[0].Files) == 0 {
		return nil, fmt.Errorf("template of %s: got %d executions that are pending, want one", s.kind, len(listing.Executions))
	}
	x := listing.Executions[0]
	t := &template{runUUID: x.RunUUID, namespace: namespace}
	for _, f := range slices.Backward(x.Files) {
		content, err := store.Read(ctx, f)
		if err != nil {
			return nil, err
		}
		t.files = append(t.files, versionFile{f.ScenarioType, content})
		for _, name := range s.names.FindAllString(string(content), -1) {
			if !slices.Contains(t.names, name) {
				t.names = append(t.names, name)
			}
		}
	}
	for _, kind := range s.objects {
		list, err := b.client.Resource(kind).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		for _, item := range list.Items {
			if slices.Contains(t.names, item.GetName()) {
				uid := string(item.GetUID())
				t.objects = append(t.objects, templateObject{kind, bareObject(item), uid})
			}
		}
	}
	if len(t.objects) == 0 {
		return nil, fmt.Errorf("template of %s: its run left no objects of %v", s.kind, t.names)
	}
	return t, b.empty(ctx, namespace)
}

// bareObject is an object without what the API server fills in.
func bareObject(item unstructured.Unstructured) map[string]any {
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"} {
		unstructured.RemoveNestedField(item.Object, "metadata", field)
	}
	for _, path := range [][]string{{"status"}, {"spec", "clusterIP"}, {"spec", "clusterIPs"}, {"spec", "nodeName"}} {
		unstructured.RemoveNestedField(item.Object, path...)
	}
	return item.Object
}

// copied is one copy of a template.
type copied struct {
	runUUID string
	files   []versionFile
	objects []Request // each with the UID of its object; no verb yet
}

// copy makes copy i of a template, of a run, with its objects if they are wanted. edit may change them first.
func (b *bench) copy(ctx context.Context, t *template, i int, runUUID string, make bool, edit func(map[string]any)) (*copied, error) {
	replaced := []string{t.runUUID, runUUID}
	for _, name := range t.names {
		replaced = append(replaced, name, fmt.Sprintf("%s%05d", name[:len(name)-5], i))
	}
	c := &copied{runUUID: runUUID}
	for _, o := range t.objects {
		text, err := json.Marshal(o.object)
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON([]byte(strings.NewReplacer(replaced...).Replace(string(text)))); err != nil {
			return nil, err
		}
		uid := o.uid
		if make {
			if edit != nil {
				edit(object.Object)
			}
			made, err := b.client.Resource(o.kind).Namespace(t.namespace).Create(ctx, object, metav1.CreateOptions{})
			if err != nil {
				return nil, err
			}
			uid = string(made.GetUID())
		}
		replaced = append(replaced, o.uid, uid)
		c.objects = append(c.objects, Request{
			Group: o.kind.Group, Version: o.kind.Version, Resource: o.kind.Resource, Namespace: t.namespace, Name: object.GetName(), UID: uid,
		})
	}
	replacer := strings.NewReplacer(replaced...)
	for _, f := range t.files {
		c.files = append(c.files, versionFile{f.scenarioType, versions.Seal([]byte(replacer.Replace(string(f.content))))})
	}
	return c, nil
}
