package builtins

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// ExecError is a command that ended with another code than 0.
type ExecError struct {
	Command []string
	Code    int
	Output  string // the end of its standard error, or of its output
}

func (e *ExecError) Error() string {
	text := fmt.Sprintf("command %q ended with exit code %d", brief(e.Command), e.Code)
	if e.Output != "" {
		text += ": " + e.Output
	}
	return text
}

// brief is a command on one line: a script among its words is known by how it begins.
func brief(command []string) string {
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

func k8sExec(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var o kube.ExecOptions
	var words *starlark.List
	var readOnly bool
	check := true
	var timeout starlark.Value = starlark.MakeInt(60)
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "name", &o.Pod, "namespace", &o.Namespace, "command", &words,
		"container?", &o.Container, "stdin?", &o.Stdin, "read_only?", &readOnly, "check?", &check, "timeout?", &timeout); err != nil {
		return nil, err
	}
	limit, err := toDuration(timeout)
	if err != nil {
		return nil, fmt.Errorf("%s: for parameter timeout: %w", b.Name(), err)
	}
	for i := range words.Len() {
		word, ok := starlark.AsString(words.Index(i))
		if !ok {
			return nil, fmt.Errorf("%s: for parameter command: element %d is a %s, want a string", b.Name(), i, words.Index(i).Type())
		}
		o.Command = append(o.Command, word)
	}
	open := writer
	if readOnly {
		open = outside
	}
	ctx, s, err := open(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	// The look costs a request and saves a doubt: a pod that is gone is a plain "not
	// found", where an exec may come to an unknown outcome.
	pod, err := s.resolve(ctx, "v1", "Pod", o.Pod, o.Namespace)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if obj, err := s.get(ctx, pod); err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	} else if obj == nil || ended(obj) {
		return nil, fmt.Errorf("%s: %w", b.Name(), notFound("exec in", pod))
	}
	if s.Mode == Plan && !readOnly {
		s.plan("run in %s: %s", pod.ref.Text(), brief(o.Command))
		return execValue(kube.ExecResult{}), nil
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var result kube.ExecResult
	send := func() (err error) {
		result, err = pod.client.Exec(limited, o)
		return err
	}
	if readOnly {
		err = send()
	} else {
		err = s.change(limited, "exec", pod.ref, func(context.Context) error { return send() }, unknownOutcome)
	}
	switch {
	case err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("%s: %w", b.Name(), &TimeoutError{fmt.Sprintf("command %q in %s has not ended after %s", brief(o.Command), pod.ref.Text(), limit)})
	case err != nil:
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	case check && result.Code != 0:
		output := strings.TrimSpace(result.Stderr)
		if output == "" {
			output = strings.TrimSpace(result.Stdout)
		}
		return nil, fmt.Errorf("%s: %w", b.Name(), &ExecError{o.Command, result.Code, strings.ToValidUTF8(output[max(0, len(output)-500):], "")})
	}
	return execValue(result), nil
}

// ended tells of a pod whose containers will not run again. For a command it is as
// good as gone.
func ended(pod kube.Object) bool {
	status, _ := pod["status"].(map[string]any)
	phase, _ := status["phase"].(string)
	return phase == "Succeeded" || phase == "Failed"
}

func execValue(r kube.ExecResult) starlark.Value {
	return starlarkstruct.FromStringDict(starlarkstruct.Default, starlark.StringDict{
		"stdout": starlark.String(r.Stdout), "stderr": starlark.String(r.Stderr), "code": starlark.MakeInt(r.Code),
	})
}
