package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/snapshot"
)

func init() {
	kinds["gates"] = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "gates"}
	kinds["horizontalpodautoscalers"] = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
	kinds["nodes"] = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
}

const scriptsManual = "../../docs/scripts.md"

// recipe is a script of docs/scripts.md with its scenario file.
type recipe struct{ kind, script, scenario string }

var (
	recipeBlock = regexp.MustCompile("(?s)```python\n(.*?)```(?:[^`]*?```yaml\n# (\\S+)\n(.*?)```)?")
	recipeType  = regexp.MustCompile(`(?m)^ +type = "([a-z_]+)_scenarios"`)
)

// readRecipes takes them out of the manual.
func readRecipes() ([]recipe, error) {
	text, err := os.ReadFile(scriptsManual)
	var all []recipe
	for _, m := range recipeBlock.FindAllStringSubmatch(string(text), -1) {
		if kind := recipeType.FindStringSubmatch(m[1]); kind != nil {
			all = append(all, recipe{kind[1], m[1], m[3]})
		}
	}
	return all, err
}

// worldsBefore are the snapshots of scripts.
var worldsBefore sync.Map // of *snapshot.Snapshot, by *testscript.TestScript

// recipes write writes the recipes of the manual into mine and scenarios: of their namespace and node
// it makes those of the script, and of their durations none. recipes before remembers the cluster;
// recipes same waits until it is as it was.
func cmdRecipes(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1 && args[0] == "write":
		writeRecipes(ts)
	case !neg && len(args) == 1 && args[0] == "before":
		worldsBefore.Store(ts, recipesWorld(ts))
	case !neg && len(args) == 1 && args[0] == "same":
		before, ok := worldsBefore.Load(ts)
		if !ok {
			ts.Fatalf("recipes before comes first")
		}
		var differences []string
		if !eventually(func() bool {
			differences = before.(*snapshot.Snapshot).Differences(recipesWorld(ts), snapshot.Scope{
				Namespaces: []string{ts.Getenv("NS")}, Objects: map[string]bool{"Node " + ts.Getenv("NS"): true},
			})
			return len(differences) == 0
		}) {
			ts.Fatalf("not as before: %q", differences)
		}
	default:
		ts.Fatalf("usage: recipes write|before|same")
	}
}

func writeRecipes(ts *testscript.TestScript) {
	recipes, err := readRecipes()
	ts.Check(err)
	addKind(ts, kinds["gates"], "Gate", true)
	ts.Check(os.MkdirAll(ts.MkAbs("mine"), 0o700))
	ts.Check(os.MkdirAll(ts.MkAbs("scenarios"), 0o700))
	listed := ""
	for _, r := range recipes {
		if r.scenario == "" {
			ts.Fatalf("%s: %s_scenarios has no scenario file, a yaml block that begins with its name in a comment", scriptsManual, r.kind)
		}
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs("mine"), r.kind+".star"), []byte(r.script), 0o600))
		scenario := strings.NewReplacer("namespace: shop", "namespace: "+ts.Getenv("NS"), "worker-9", ts.Getenv("NS")).Replace(r.scenario)
		scenario = regexp.MustCompile(`duration: \S+`).ReplaceAllString(scenario, "duration: 0")
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs("scenarios"), r.kind+".yaml"), []byte(scenario), 0o600))
		listed += "    - " + r.kind + "_scenarios: [scenarios/" + r.kind + ".yaml]\n"
	}
	config, err := os.OpenFile(ts.MkAbs("config.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	_, err = config.WriteString(listed)
	ts.Check(err)
	ts.Check(config.Close())
}

// recipesWorld is the part of the cluster that recipes change.
func recipesWorld(ts *testscript.TestScript) *snapshot.Snapshot {
	admin, err := clientcmd.BuildConfigFromFlags("", ts.Getenv("KUBECONFIG"))
	ts.Check(err)
	client, err := kube.New(admin, kube.Options{})
	ts.Check(err)
	defer client.Close()
	found, unknown := snapshot.Kinds(context.Background(), client, []string{"nodes", "horizontalpodautoscalers.autoscaling", "gates.example.com"})
	if len(unknown) > 0 {
		ts.Fatalf("unknown kinds: %q", unknown)
	}
	taken, err := snapshot.Take(context.Background(), client, found, []string{ts.Getenv("NS")})
	ts.Check(err)
	return taken
}
