package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/sandboxtest"
	"github.com/ebb-chaos/ebb/versions"
	"github.com/ebb-chaos/ebb/versions/clusterstore"
)

// TestDeploy has the API server check every manifest in deploy/, and the commands in them are those
// of the program.
func TestDeploy(t *testing.T) {
	t.Parallel()
	config, err := kube.LoadConfig(sandboxtest.Kubeconfig(t), "")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(config, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	namespace := sandboxtest.Namespace(t) // in which everything is checked as if it were ebb
	files, err := filepath.Glob("../../deploy/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("got %q, %v, want the manifests", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		documents := yaml.NewDecoder(bytes.NewReader(data))
		for {
			var object kube.Object
			if err := documents.Decode(&object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			check(t, client, namespace, file, object)
		}
	}
}

func check(t *testing.T, client *kube.Client, namespace, file string, object kube.Object) {
	t.Helper()
	meta := kube.Meta(object)
	kind, err := client.Resolve(t.Context(), meta.GetAPIVersion(), meta.GetKind())
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	where := meta.GetNamespace()
	if where != "" {
		if where != clusterstore.DefaultNamespace {
			t.Errorf("%s: %s is in namespace %q, want %q", file, meta.GetName(), where, clusterstore.DefaultNamespace)
		}
		where = namespace
		meta.SetNamespace(namespace)
	}
	if _, err := client.Apply(kube.WithDryRun(t.Context()), kind, where, meta.GetName(), object, "ebb-test", true); err != nil {
		t.Errorf("%s: %v", file, err)
	}
	for _, args := range argsOf(object) {
		var out, errs bytes.Buffer
		if code := ebb(append([]string{"ebb"}, append(args, "--help")...), &out, &errs); code != 0 {
			t.Errorf("%s: ebb %s: exit code %d: %s", file, strings.Join(args, " "), code, errs.String())
		}
	}
}

// argsOf finds the commands of containers.
func argsOf(v any) (all [][]string) {
	switch v := v.(type) {
	case kube.Object:
		if args, ok := v["args"].([]any); ok && v["image"] != nil {
			var words []string
			for _, arg := range args {
				words = append(words, arg.(string))
			}
			all = append(all, words)
		}
		for _, value := range v {
			all = append(all, argsOf(value)...)
		}
	case []any:
		for _, value := range v {
			all = append(all, argsOf(value)...)
		}
	}
	return all
}

// TestStoreRights does what a store is for with the rights in deploy/store.yaml, and no others.
func TestStoreRights(t *testing.T) {
	t.Parallel()
	namespace := sandboxtest.Namespace(t)
	kubeconfig, _ := sandboxtest.User(t, namespace, "create,delete,get,list,patch:secrets", "create,delete,get,list,patch,update:leases.coordination.k8s.io")
	data, err := os.ReadFile("../../deploy/store.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{`resources: ["secrets"]
  verbs: ["create", "delete", "get", "list", "patch"]`, `resources: ["leases"]
  verbs: ["create", "delete", "get", "list", "patch", "update"]`} {
		if !bytes.Contains(data, []byte(rule)) {
			t.Errorf("deploy/store.yaml has other rights than this test:\n%s", rule)
		}
	}
	config, err := kube.LoadConfig(kubeconfig, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := clusterstore.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := clusterstore.New(clusterstore.Options{Cluster: config, Namespace: namespace, SigningKey: key, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e, err := s.Begin(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	err = e.Probe(t.Context())
	f, flushErr := e.Flush(t.Context(), "pod", []byte("x"))
	done, markErr := e.MarkExecuted(t.Context(), f)
	err = errors.Join(err, flushErr, markErr, s.Append(t.Context(), versions.Entry{Event: versions.EventMarked}), e.Remove(t.Context(), done), e.Close())
	if err != nil {
		t.Error(err)
	}
	if listing, err := s.List(t.Context(), versions.Filter{}); err != nil || len(listing.Executions) != 0 {
		t.Errorf("got %v, %v, want nothing left", listing, err)
	}
}
