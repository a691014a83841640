package builtins

import (
	"fmt"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// k8sCan is for rights that a scenario needs only of some objects: those that it
// always needs stand in its declaration and are asked for before it is run.
func k8sCan(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var verb, resource, namespace string
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "verb", &verb, "resource", &resource, "namespace?", &namespace); err != nil {
		return nil, err
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	client, err := s.cluster(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	group, plural, subresource := kube.SplitResource(resource)
	allowed, _, err := client.Can(ctx, verb, group, plural, subresource, namespace, "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	return starlark.Bool(allowed), nil
}
