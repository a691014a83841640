package builtins

import "go.starlark.net/starlark"

// k8sOwnPod tells a script which pod it must not disturb: the one that this program runs in.
func k8sOwnPod(c *call, _ *struct{}) (starlark.Value, error) {
	if c.OwnPod.Name == "" {
		return starlark.None, nil
	}
	return toStarlark(map[string]any{"name": c.OwnPod.Name, "namespace": c.OwnPod.Namespace})
}
