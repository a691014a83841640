// Package examples_test builds the examples, each a module of its own as another program's would
// be, and runs them against the sandbox.
package examples_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/sandboxtest"
)

func TestMain(m *testing.M) { os.Exit(sandboxtest.Main(m)) }

// README.md shows this program's own code.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("embed/main.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(readme), "```go\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("README.md shows no Go code")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		indented := "\t" + strings.ReplaceAll(strings.TrimSuffix(block, "\n"), "\n", "\n\t") + "\n"
		if !strings.Contains(string(program), block) && !strings.Contains(string(program), indented) {
			t.Errorf("README.md shows what is not in examples/embed/main.go:\n%s", block)
		}
	}
}

// seeSources has go test see what the program is built from, which this package does not import: it
// runs the test again if that changes.
func seeSources(t *testing.T) {
	t.Helper()
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if or .Main .Replace}}{{$.Dir}}{{end}}{{end}}", ".")
	list.Dir = "embed"
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dirs := strings.Fields(string(out))
	if len(dirs) < 2 {
		t.Fatalf("go list: got %q, want the program and what it imports of ebb", out)
	}
	for _, dir := range dirs {
		if err := filepath.WalkDir(dir, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
}

// A program sets a rollback, changes the cluster and dies; another process of it restores the
// cluster.
func TestEmbed(t *testing.T) {
	program := filepath.Join(t.TempDir(), "embed")
	// As make builds ebb: what it imports is compiled already.
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, ".")
	build.Dir, build.Env = "embed", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	seeSources(t)
	kubeconfig, namespace := sandboxtest.Kubeconfig(t), sandboxtest.Namespace(t)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	maps := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(namespace)
	wall := func(colour string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "wall"}, "data": map[string]any{"colour": colour},
		}}
	}
	if _, err := maps.Create(t.Context(), wall("white"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	colour := func() string {
		t.Helper()
		found, err := maps.Get(t.Context(), "wall", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		colour, _, err := unstructured.NestedString(found.Object, "data", "colour")
		if err != nil {
			t.Fatal(err)
		}
		return colour
	}
	versions := filepath.Join(t.TempDir(), "versions")
	embed := func(command string) (string, error) {
		cmd := exec.Command(program, "-kubeconfig", kubeconfig, "-versions", versions, "-namespace", namespace, "-name", "wall", command)
		log := &strings.Builder{}
		cmd.Stderr = log
		out, err := cmd.Output()
		t.Logf("%s: %v\n%s%s", command, err, log, out)
		return string(out), err
	}

	if _, err := embed("break"); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("break: got %v, want its death", err)
	}
	if colour() != "black" {
		t.Fatalf("after break: the wall is %s, want black", colour())
	}
	// Somebody else's change is a conflict, and stays.
	if _, err := maps.Update(t.Context(), wall("red"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err := embed("restore"); err == nil || !strings.Contains(out, ": conflict\n") || colour() != "red" {
		t.Fatalf("restore of a wall that somebody made red: got %v and %q, the wall is %s", err, out, colour())
	}
	if _, err := maps.Update(t.Context(), wall("black"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if out, err := embed("restore"); err != nil || !strings.Contains(out, ": restored\n") || colour() != "white" {
		t.Fatalf("restore: got %v and %q, the wall is %s", err, out, colour())
	}
	if out, err := embed("restore"); err != nil || out != "" {
		t.Fatalf("a second restore: got %v and %q, want nothing to do", err, out)
	}
}
