package scripts_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	starlarkjson "go.starlark.net/lib/json"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/ebb-chaos/ebb/scripts"
)

// call calls a function of a library file. Names of builtins are free to stand in the file, but nothing is
// called: what is tested here only computes.
func call(t *testing.T, file, function string, args ...starlark.Value) starlark.Value {
	t.Helper()
	thread := &starlark.Thread{}
	predeclared := starlark.StringDict{"struct": starlark.NewBuiltin("struct", starlarkstruct.Make)}
	module := func(name string) (starlark.StringDict, error) {
		source, err := fs.ReadFile(scripts.FS, name)
		if err != nil {
			return nil, err
		}
		_, program, err := starlark.SourceProgramOptions(&syntax.FileOptions{Set: true}, name, source, func(name string) bool { return !starlark.Universe.Has(name) })
		if err != nil {
			return nil, err
		}
		return program.Init(thread, predeclared)
	}
	thread.Load = func(_ *starlark.Thread, name string) (starlark.StringDict, error) { return module(name) }
	globals, err := module(file)
	if err != nil {
		t.Fatal(err)
	}
	result, err := starlark.Call(thread, globals[function], args, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// value reads YAML as a script sees an object.
func value(t *testing.T, text string) starlark.Value {
	t.Helper()
	data, err := yaml.ToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, err := starlark.Call(&starlark.Thread{}, starlarkjson.Module.Members["decode"], starlark.Tuple{starlark.String(data)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// pods are those whose volumes the sandbox does not have: generic ephemeral ones, in containers that are
// init containers to the API, and mounts whose path depends on the pod.
const pods = `
- metadata: {name: web-0, namespace: shop}
  spec:
    initContainers:
      - {name: setup, volumeMounts: [{name: scratch, mountPath: /setup}]}
      - {name: sidecar, restartPolicy: Always, volumeMounts: [{name: scratch, mountPath: /side/}, {name: data, mountPath: /data, readOnly: true}]}
    containers:
      - {name: app, volumeMounts: [{name: data, mountPath: /app, subPath: /in/}, {name: data, mountPath: /mine, subPathExpr: $(POD)}, {name: plain, mountPath: /tmp}]}
      - {name: raw, volumeDevices: [{name: disk, devicePath: /dev/xvda}]}
      - {name: ended, volumeMounts: [{name: data, mountPath: /data}]}
    volumes:
      - {name: plain, emptyDir: {}}
      - {name: scratch, ephemeral: {volumeClaimTemplate: {spec: {}}}}
      - {name: data, persistentVolumeClaim: {claimName: data}}
      - {name: disk, persistentVolumeClaim: {claimName: disk}}
  status:
    phase: Running
    initContainerStatuses: [{name: setup, state: {terminated: {}}}, {name: sidecar, state: {running: {}}}]
    containerStatuses: [{name: app, state: {running: {}}}, {name: raw, state: {running: {}}}, {name: ended, state: {terminated: {}}}]
- metadata: {name: web-1, namespace: shop}
  spec:
    containers: [{name: app, volumeMounts: [{name: scratch, mountPath: /app}]}]
    volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {}}}}]
  status: {phase: Pending}
`

func TestClaimMounts(t *testing.T) {
	for claim, want := range map[string][]string{
		"":              {"sidecar web-0-scratch /side", "sidecar data /data read-only", "app data /app in"},
		"web-0-scratch": {"sidecar web-0-scratch /side"},
		"data":          {"sidecar data /data read-only", "app data /app in"},
		"scratch":       nil,
		"web-1-scratch": nil, // its pod does not run
		"disk":          nil, // a device, not a file system
	} {
		var got []string
		list := call(t, "lib/claims.star", "claim_mounts", value(t, pods), starlark.String(claim)).(*starlark.List)
		for mount := range list.Elements() {
			m := mount.(*starlarkstruct.Struct)
			attr := func(name string) string {
				v, err := m.Attr(name)
				if err != nil {
					t.Fatal(err)
				}
				s, _ := starlark.AsString(v)
				return s
			}
			container, err := m.Attr("container")
			if err != nil {
				t.Fatal(err)
			}
			name, _, err := container.(*starlark.Dict).Get(starlark.String("name"))
			if err != nil {
				t.Fatal(err)
			}
			words := []string{string(name.(starlark.String)), attr("claim"), attr("mount_path"), attr("sub_path")}
			if readOnly, err := m.Attr("read_only"); err != nil {
				t.Fatal(err)
			} else if readOnly == starlark.True {
				words = append(words, "read-only")
			}
			got = append(got, strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " "))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("claim %q: %s", claim, d)
		}
	}
	said := call(t, "lib/claims.star", "expressions", value(t, pods), starlark.String("data"))
	if want := "; container app of pod web-0 mounts it with subPathExpr, which is not supported"; string(said.(starlark.String)) != want {
		t.Errorf("got %s, want %q", said, want)
	}
}
