package builtins

import (
	"context"
	"errors"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// k8sOwnPod returns the pod that this program runs in, which scripts must not disturb.
func k8sOwnPod(c *call, _ *struct{}) (starlark.Value, error) {
	if c.OwnPod.Name == "" {
		return starlark.None, nil
	}
	return toStarlark(map[string]any{"name": c.OwnPod.Name, "namespace": c.OwnPod.Namespace})
}

// Left reports whether an object that the session's run created still exists. It does not look for
// a kind that can't be resolved without api_version.
func (s *Session) Left(ctx context.Context, r Ref) (bool, error) {
	o, err := s.resolve(ctx, "", r.Kind, r.Name, r.Namespace)
	var unknown *kube.NoKindError
	if errors.As(err, &unknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	obj, err := s.get(ctx, o)
	if err != nil || obj == nil || nested(obj, "metadata")["deletionTimestamp"] != nil {
		return false, err
	}
	ours, _ := s.owned(obj)
	return ours, nil
}
