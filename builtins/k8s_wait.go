package builtins

import (
	"context"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// TimeoutError is a wait that ended before what was waited for came.
type TimeoutError struct{ Message string }

func (e *TimeoutError) Error() string { return e.Message }

// Catch lets attempt catch the error.
func (e *TimeoutError) Catch() (reason string, code int) { return "Timeout", 0 }

// How often k8s.wait looks: soon at first, since most things are quick in coming.
const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second
)

func k8sWait(t *starlark.Thread, b *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var kind, name, namespace, apiVersion, message string
	var opts kube.ListOptions
	var until starlark.Callable
	var timeout starlark.Value = starlark.MakeInt(60)
	if err := starlark.UnpackArgs(b.Name(), args, kwargs, "kind", &kind, "name?", &name, "namespace?", &namespace, "until", &until,
		"timeout?", &timeout, "label_selector?", &opts.LabelSelector, "message?", &message, "api_version?", &apiVersion); err != nil {
		return nil, err
	}
	if (name == "") == (opts.LabelSelector == "") {
		return nil, fmt.Errorf("%s: want exactly one of name and label_selector", b.Name())
	}
	limit, err := toDuration(timeout)
	if err != nil {
		return nil, fmt.Errorf("%s: for parameter timeout: %w", b.Name(), err)
	}
	ctx, s, err := outside(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	if s.Mode == Plan {
		return starlark.None, nil // nothing was changed, so nothing will come
	}
	o, err := s.resolve(ctx, apiVersion, kind, name, namespace)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Name(), err)
	}
	look := func(ctx context.Context) (starlark.Value, error) {
		if name == "" {
			return s.list(ctx, o.client, o.resource, namespace, opts)
		}
		obj, err := s.get(ctx, o)
		if err != nil {
			return nil, err
		}
		return objectValue(b, o.resource, obj)
	}
	if message == "" {
		message = "waiting for " + o.ref.Text()
		if name == "" {
			message = fmt.Sprintf("waiting for %s with %s", kind, opts.LabelSelector)
		}
	}
	done := s.progress(limit, message)
	defer done()
	deadline := time.Now().Add(limit)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		seen, err := look(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
		ok, err := starlark.Call(t, until, starlark.Tuple{seen}, nil)
		if err != nil {
			return nil, err // raised in the script: its position says more than ours
		}
		if ok.Truth() {
			return seen, nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil, fmt.Errorf("%s: %w", b.Name(), &TimeoutError{fmt.Sprintf("%s: not so after %s", message, limit)})
		}
		if err := sleep(ctx, min(pause, left)); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Name(), err)
		}
	}
}
