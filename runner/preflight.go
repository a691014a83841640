package runner

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/internal/kube"
)

// preflightQuestions is how many rights are asked for at the same time.
const preflightQuestions = 8

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
	type question struct {
		verb, namespace string
		right           builtins.Right
	}
	asked := map[string]bool{}
	var questions []question
	for _, config := range s.configs {
		namespace := namespaceOf(config)
		for _, right := range s.script.Rights {
			for _, verb := range right.Verbs {
				if key := verb + " " + right.Resource + " " + namespace; !asked[key] {
					asked[key] = true
					questions = append(questions, question{verb, namespace, right})
				}
			}
		}
	}
	// Side by side: each is a request, and nothing is begun before the last answer.
	answers := make([]bool, len(questions))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(preflightQuestions)
	for i, q := range questions {
		group.Go(func() (err error) {
			answers[i], err = r.may(groupCtx, client, q.verb, q.right, q.namespace)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	var missing []string
	for i, q := range questions {
		if !answers[i] {
			missing = append(missing, q.verb+" "+q.right.Resource)
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
