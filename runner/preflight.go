package runner

import (
	"context"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
)

// preflight asks the API server whether this user may do what the scenario and its
// undo need. Chaos that its user may make and not undo is not begun.
func (r *Runner) preflight(ctx context.Context, s *Scenario) error {
	if len(s.script.Rights) == 0 {
		return nil
	}
	client, err := r.outside.cluster()
	if err != nil {
		return err
	}
	asked := map[string]bool{}
	var missing []string
	for _, config := range s.configs {
		namespace := namespaceOf(config)
		for _, right := range s.script.Rights {
			for _, verb := range right.Verbs {
				question := verb + " " + right.Resource + " " + namespace
				if asked[question] {
					continue
				}
				asked[question] = true
				allowed, err := r.may(ctx, client, verb, right, namespace)
				if err != nil {
					return err
				}
				if !allowed {
					missing = append(missing, verb+" "+right.Resource)
				}
			}
		}
	}
	if len(missing) > 0 {
		return &RefusedError{
			Kind:    KindRights,
			Err:     fmt.Errorf("the scenario and its undo need rights that this user does not have on %s: %s", client.Server(), strings.Join(missing, ", ")),
			Details: map[string]string{"server": client.Server(), "rights": strings.Join(missing, ", ")},
		}
	}
	return nil
}

// may asks about one verb. A server that does not let the user ask is not the
// user's fault: the requests themselves will tell.
func (r *Runner) may(ctx context.Context, client *kube.Client, verb string, right builtins.Right, namespace string) (bool, error) {
	group, resource, subresource := kube.SplitResource(right.Resource)
	allowed, _, err := client.Can(ctx, verb, group, resource, subresource, namespace, "")
	if err != nil && apierrors.IsForbidden(err) {
		r.options.Log.Warn(fmt.Sprintf("whether this user may %s %s can't be asked: %v", verb, right.Resource, err))
		return true, nil
	}
	return allowed, err
}

// namespaceOf returns the namespace that a scenario file names, or "" for all: a
// right that is missing in one namespace may be there in another.
func namespaceOf(config starlark.Value) string {
	s, ok := config.(*starlarkstruct.Struct)
	if !ok {
		return ""
	}
	for _, name := range []string{"namespace", "service_namespace"} {
		if v, err := s.Attr(name); err == nil {
			// Some are regular expressions, which name none.
			if namespace, ok := starlark.AsString(v); ok && len(validation.IsDNS1123Label(namespace)) == 0 {
				return namespace
			}
		}
	}
	return ""
}
