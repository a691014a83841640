package runner

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"go.starlark.net/starlark"

	"github.com/ebb-chaos/ebb/builtins"
	"github.com/ebb-chaos/ebb/engine"
	"github.com/ebb-chaos/ebb/internal/event"
	"github.com/ebb-chaos/ebb/versions"
)

// Runner runs and undoes scenarios. It is safe for concurrent use.
type Runner struct {
	store   versions.Store
	options Options
	engine  *engine.Engine
	outside outside
	events  *event.Writer // nil for none

	unknownCluster *sync.Once // the warning is logged once
	overlaps       *overlaps
}

// New returns a runner for a store. The error names each invalid option.
func New(store versions.Store, o Options) (*Runner, error) {
	if store == nil {
		return nil, errors.New("runner: got no store, want one, such as that of versions.NewDir")
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Runner{store: store, options: o, outside: newOutside(o), unknownCluster: &sync.Once{}, overlaps: &overlaps{}}
	if o.Events {
		r.events = event.New(r.outside.cluster, o.Log)
	}
	r.engine = engine.New(engine.Options{
		Predeclared: builtins.Predeclared(),
		Signatures:  signatures(),
		Bind:        builtins.Bind,
		Caught: func(ctx context.Context, err error) {
			if s := builtins.SessionOf(ctx); s != nil {
				s.Catch(err)
			}
		},
		Print: func(_ context.Context, msg string) { o.Log.Info(msg) },
	})
	return r, nil
}

// logging returns the same runner with another logger.
func (r *Runner) logging(log *slog.Logger) *Runner {
	same := *r
	same.options.Log = log
	return &same
}

// call calls fn in a session.
func (r *Runner) call(ctx context.Context, s *builtins.Session, fn *starlark.Function, args ...starlark.Value) (starlark.Value, error) {
	defer r.notStuck(ctx, fn.Position().Filename())()
	return r.engine.Call(builtins.WithSession(ctx, s), fn, args...)
}

// initSession is the session for loading a module.
func (r *Runner) initSession() *builtins.Session {
	return &builtins.Session{Mode: builtins.Init, Log: r.options.Log, AllowIrreversible: r.options.AllowIrreversible}
}

// watch calls the hook for code of a version file that starts to run.
func (r *Runner) watch(f versions.File) (over func()) {
	if r.options.Hooks.Watch == nil {
		return func() {}
	}
	return r.options.Hooks.Watch(f)
}

// proving calls the hook for a file that is loaded and rehearsed.
func (r *Runner) proving(f versions.File) (over func()) {
	if r.options.Hooks.Proving == nil {
		return func() {}
	}
	return r.options.Hooks.Proving(f)
}

// loading calls the hook for a scenario script whose code starts to run.
func (r *Runner) loading(script string) (over func()) {
	if r.options.Hooks.Loading == nil {
		return func() {}
	}
	return r.options.Hooks.Loading(script)
}

// finished calls the hook for the result of a file.
func (r *Runner) finished(result Result) {
	if r.options.Hooks.Finished != nil {
		r.options.Hooks.Finished(result)
	}
}
