package builtins

import (
	"errors"
	"fmt"
	"time"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/internal/kube"
	"github.com/ebb-chaos/ebb/internal/patience"
)

// TimeoutError means that a wait has ended without its condition.
type TimeoutError struct{ Message string }

func (e *TimeoutError) Error() string { return e.Message }

// Catch lets attempt catch the error.
func (e *TimeoutError) Catch() (reason string, code int) { return "Timeout", 0 }

// How often k8s.wait polls: soon at first, because most conditions come quickly.
const (
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second
)

type waitArgs struct {
	Kind          string            `star:"kind"`
	Name          string            `star:"name?"`
	Namespace     string            `star:"namespace?"`
	Until         starlark.Callable `star:"until"`
	Timeout       seconds           `star:"timeout?"`
	LabelSelector string            `star:"label_selector?"`
	Message       string            `star:"message?"`
	APIVersion    string            `star:"api_version?"`
}

func k8sWait(c *call, a *waitArgs) (starlark.Value, error) {
	if (a.Name == "") == (a.LabelSelector == "") {
		return nil, errors.New("want exactly one of name and label_selector")
	}
	if c.Mode == Plan {
		return starlark.None, nil // nothing was changed, so nothing will come
	}
	o, err := c.resolve(c.ctx, a.APIVersion, a.Kind, a.Name, a.Namespace)
	if err != nil {
		return nil, err
	}
	c.voidAbsences() // what was seen before is of another time
	look := func() (starlark.Value, error) {
		if a.Name == "" {
			return c.list(c.ctx, o.client, o.resource, a.Namespace, kube.ListOptions{LabelSelector: a.LabelSelector})
		}
		obj, err := c.get(c.ctx, o)
		if err != nil {
			return nil, err
		}
		return objectValue(o.resource, obj)
	}
	message := a.Message
	if message == "" {
		message = "waiting for " + o.ref.Text()
		if a.Name == "" {
			message = fmt.Sprintf("waiting for %s with %s", a.Kind, a.LabelSelector)
		}
	}
	limit := time.Duration(a.Timeout)
	done := c.progress(limit, message)
	defer done()
	deadline := time.Now().Add(limit)
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		seen, err := look()
		if err != nil {
			return nil, err
		}
		if ok, err := c.callback(a.Until, seen); err != nil {
			return nil, err
		} else if ok.Truth() {
			return seen, nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil, &TimeoutError{fmt.Sprintf("%s: not so after %s", message, limit)}
		}
		if err := patience.Sleep(c.ctx, min(pause, left)); err != nil {
			return nil, err
		}
	}
}
