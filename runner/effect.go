package runner

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
)

// look returns the function that checks the chaos of a scenario, or nil if the script has no
// effect.
func (x *scenarioRun) look(config starlark.Value) func(context.Context) builtins.Sight {
	fn := x.scenario.script.effect
	if fn == nil {
		return nil
	}
	return func(ctx context.Context) builtins.Sight {
		args := []starlark.Value{config, x.recorded()}[:fn.NumParams()]
		session := x.session(nil)
		session.Mode, session.Recorder, session.Mark, session.Quiet = builtins.Verify, nil, nil, true
		v, err := x.runner.call(ctx, session, fn, args...)
		x.runner.reach(EffectSeen)
		switch {
		case err == nil:
			hit, err := hitBy(v)
			if unseen := session.NotObserved(); err == nil && len(unseen) > 0 {
				err = errors.New(strings.Join(unseen, "; "))
			}
			return builtins.Sight{Hit: hit, Unseen: err}
		case notInForce(err):
			return builtins.Sight{Absent: err}
		}
		return builtins.Sight{Unseen: err}
	}
}

// recorded returns the contents of the pending version files, oldest first. The data that undo the
// chaos are also needed to see it.
func (x *scenarioRun) recorded() starlark.Value {
	x.mu.Lock()
	defer x.mu.Unlock()
	list := starlark.NewList(append([]starlark.Value(nil), x.contents...))
	list.Freeze()
	return list
}

// notInForce distinguishes the script's own error, and mistakes in it, from a cluster that could
// not be asked.
func notInForce(err error) bool {
	switch KindOf(err) {
	case KindFailed, KindConflict, KindScript:
		return true
	}
	return apierrors.IsNotFound(err)
}

// hitBy reads the result of effect: a list of refs and texts.
func hitBy(v starlark.Value) ([]string, error) {
	if v == starlark.None {
		return nil, nil
	}
	list, ok := v.(starlark.Iterable)
	if !ok {
		return nil, fmt.Errorf("effect returned a %s, want a list of what was hit", v.Type())
	}
	var hit []string
	for item := range starlark.Elements(list) {
		if ref, ok := item.(builtins.Ref); ok {
			hit = append(hit, ref.Text())
		} else if text, ok := starlark.AsString(item); ok {
			hit = append(hit, text)
		} else {
			return nil, fmt.Errorf("effect returned a list with a %s, want refs and texts", item.Type())
		}
	}
	return hit, nil
}

// lookEntry returns the function of a script that checks its chaos, or nil if there is none. It
// takes the configuration, and may also take the contents of the version files.
func lookEntry(m *engine.Module, script, name string) (*starlark.Function, error) {
	v := m.Get(name)
	if v == nil {
		return nil, nil
	}
	fn, ok := v.(*starlark.Function)
	if !ok || fn.HasVarargs() || fn.HasKwargs() || fn.NumParams() < 1 || fn.NumParams() > 2 {
		return nil, fmt.Errorf("%s: %s: want def %s(config, contents)", script, name, name)
	}
	return fn, nil
}
