package builtins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/limits"
)

// ExecError means that a command ended with an exit code other than 0.
type ExecError struct {
	Command []string
	Code    int
	Output  string // the end of its standard error, or of its output
}

func (e *ExecError) Error() string {
	text := fmt.Sprintf("command %q ended with exit code %d", shortCommand(e.Command), e.Code)
	if e.Output != "" {
		text += ": " + e.Output
	}
	return text
}

// shortCommand returns a command on one line. Of a word with several lines, such as a script, it
// has the first line.
func shortCommand(command []string) string {
	words := make([]string, len(command))
	for i, word := range command {
		first, _, more := strings.Cut(strings.TrimSpace(word), "\n")
		if words[i] = first; more {
			words[i] += " …"
		}
	}
	return strings.Join(words, " ")
}

// Catch lets attempt catch the error; its code is the command's.
func (e *ExecError) Catch() (reason string, code int) { return "Exec", e.Code }

type execArgs struct {
	Name      string  `star:"name"`
	Namespace string  `star:"namespace"`
	Command   words   `star:"command"`
	Container string  `star:"container?"`
	Stdin     string  `star:"stdin?"`
	ReadOnly  bool    `star:"read_only?"`
	Check     bool    `star:"check?"`
	Timeout   seconds `star:"timeout?"`
}

func (a *execArgs) access() Access {
	if a.ReadOnly {
		return Read
	}
	return Write
}

func k8sExec(c *call, a *execArgs) (starlark.Value, error) {
	o := kube.ExecOptions{Pod: a.Name, Namespace: a.Namespace, Command: a.Command, Container: a.Container, Stdin: a.Stdin}
	// The read costs a request and avoids doubt: for a pod that is gone, the error is a plain "not
	// found", where an exec may end with an unknown outcome.
	pod, err := c.resolve(c.ctx, "v1", "Pod", o.Pod, o.Namespace)
	if err != nil {
		return nil, err
	}
	if obj, err := c.get(c.ctx, pod); err != nil {
		return nil, err
	} else if obj == nil || ended(obj) {
		return nil, notFound("exec in", pod)
	}
	if c.Mode == Plan && !a.ReadOnly {
		if err := c.mayExec(pod); err != nil {
			return nil, err
		}
		c.plan("exec", pod.ref, "run in %s: %s", pod.ref.Text(), shortCommand(o.Command))
		return execValue(kube.ExecResult{}), nil
	}
	limit := max(time.Duration(a.Timeout), limits.Command)
	limited, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	var result kube.ExecResult
	send := func() (err error) {
		result, err = pod.client.Exec(limited, o)
		return err
	}
	if a.ReadOnly {
		err = send()
	} else {
		err = c.change(limited, "exec", pod.ref, func(context.Context) error { return send() }, unknownOutcome)
	}
	switch {
	case err != nil && c.ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return nil, &TimeoutError{fmt.Sprintf("command %q in %s has not ended after %s", shortCommand(o.Command), pod.ref.Text(), limit)}
	case err != nil:
		return nil, err
	case a.Check && result.Code != 0:
		output := strings.TrimSpace(result.Stderr)
		if output == "" {
			output = strings.TrimSpace(result.Stdout)
		}
		return nil, &ExecError{o.Command, result.Code, strings.ToValidUTF8(output[max(0, len(output)-500):], "")}
	}
	return execValue(result), nil
}

// mayExec checks, for a plan, whether the user may run commands in a pod: exec has no dry run. If
// the user may not ask either, only the command itself can tell. Before a scenario, the rights were
// checked.
func (c *call) mayExec(pod *object) error {
	if c.Quiet {
		return nil
	}
	allowed, why, err := pod.client.Can(c.ctx, "create", "", pod.resource.Plural, "exec", pod.ref.Namespace, pod.ref.Name)
	if err != nil || allowed {
		if apierrors.IsForbidden(err) {
			return nil
		}
		return err
	}
	denied := apierrors.NewForbidden(runtimeschema.GroupResource{Resource: pod.resource.Plural + "/exec"}, pod.ref.Name, errors.New(cmp.Or(why, "the user may not create pods/exec")))
	return &kube.Error{Verb: "exec in", Resource: pod.resource.Plural, Namespace: pod.ref.Namespace, Name: pod.ref.Name, Err: denied}
}

// ended reports whether the containers of a pod will not run again. No command can run in such a pod.
func ended(pod kube.Object) bool {
	phase := text(pod, "status", "phase")
	return phase == "Succeeded" || phase == "Failed"
}

func execValue(r kube.ExecResult) starlark.Value {
	return starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
		"stdout": starlark.String(r.Stdout), "stderr": starlark.String(r.Stderr), "code": starlark.MakeInt(r.Code),
	})
}
